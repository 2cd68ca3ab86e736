// What the command line takes. The parser (CLI11) is seen by arguments.cpp only: its header costs every file that
// includes it fifteen seconds of compile time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace linnet {

// One declared flag or option; a handle, copied freely, valid while the parser lives.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}
  Argument required() const;
  Argument excludes(Argument other) const;
  Argument type_name(const char* name) const;
  Argument before_others() const;  // its function is called while the line is read: what others set later wins

 private:
  CLI::Option* option_;
};

// What one subcommand takes. The variables are written while the line is parsed and must outlive the parser; what
// they hold before is shown as the default.
class Arguments {
 public:
  explicit Arguments(CLI::App& app) : app_(app) {}
  Argument flag(const std::string& names, bool& value, const std::string& help);
  Argument flag(const std::string& names, std::function<void()> seen, const std::string& help);
  Argument option(const std::string& names, std::string& value, const std::string& help);
  Argument option(const std::string& names, int64_t& value, const std::string& help);
  Argument option(const std::string& names, double& value, const std::string& help);
  Argument option(const std::string& names, std::vector<int64_t>& values, const std::string& help);  // comma-separated
  // Called for each text that is given, in the order of the line; `many`: may be given more than once.
  Argument option(const std::string& names, std::function<void(const std::string&)> each, bool many,
                  const std::string& help);
  void footer(const std::string& text);

 private:
  CLI::App& app_;
};

// The whole command line: subcommands, --help, --version.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& version, const std::string& footer);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  Arguments subcommand(const std::string& name, const std::string& summary, std::function<void()> chosen);

  enum class Outcome { parsed, answered, wrong };  // answered: help or version was printed
  Outcome parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace linnet

#include "tools/arguments.h"

#include <CLI/CLI.hpp>

namespace linnet {

Argument Argument::required() const {
  option_->required();
  return *this;
}

Argument Argument::excludes(Argument other) const {
  option_->excludes(other.option_);
  return *this;
}

Argument Argument::type_name(const char* name) const {
  option_->type_name(name);
  return *this;
}

Argument Argument::before_others() const {
  option_->trigger_on_parse();
  return *this;
}

Argument Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  return Argument(app_.add_flag(names, value, help));
}

Argument Arguments::flag(const std::string& names, std::function<void()> seen, const std::string& help) {
  return Argument(app_.add_flag_callback(names, std::move(seen), help));
}

Argument Arguments::option(const std::string& names, std::string& value, const std::string& help) {
  auto* option = app_.add_option(names, value, help);
  return Argument(value.empty() ? option : option->capture_default_str());
}

Argument Arguments::option(const std::string& names, int64_t& value, const std::string& help) {
  return Argument(app_.add_option(names, value, help)->capture_default_str());
}

Argument Arguments::option(const std::string& names, double& value, const std::string& help) {
  return Argument(app_.add_option(names, value, help)->capture_default_str());
}

Argument Arguments::option(const std::string& names, std::vector<int64_t>& values, const std::string& help) {
  return Argument(app_.add_option(names, values, help)->delimiter(',')->capture_default_str());
}

Argument Arguments::option(const std::string& names, std::function<void(const std::string&)> each, bool many,
                           const std::string& help) {
  auto* option = app_.add_option_function<std::vector<std::string>>(
      names,
      [each = std::move(each)](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) each(text);
      },
      help);
  // One text for each time the option is named, as it is: else the parser takes "[a, b]" apart.
  option->expected(1)->allow_extra_args(false);
  if (many) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return Argument(option);
}

void Arguments::footer(const std::string& text) { app_.footer(text); }

CommandLine::CommandLine(const std::string& description, const std::string& version, const std::string& footer)
    : app_(std::make_unique<CLI::App>(description, "linnet")) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
  app_->footer(footer);
}

CommandLine::~CommandLine() = default;

Arguments CommandLine::subcommand(const std::string& name, const std::string& summary, std::function<void()> chosen) {
  CLI::App* sub = app_->add_subcommand(name, summary);
  sub->callback(std::move(chosen));
  return Arguments(*sub);
}

CommandLine::Outcome CommandLine::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // the library's way to say help, version or wrong usage
    return app_->exit(error) == 0 ? Outcome::answered : Outcome::wrong;
  }
  return Outcome::parsed;
}

}  // namespace linnet

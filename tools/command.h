// One subcommand of `linnet`: what it takes, and what it does.
#pragma once

#include <atomic>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capi/config.h"
#include "capi/options.h"
#include "gguf/base/error.h"
#include "runtime/engine.h"
#include "runtime/model.h"
#include "tools/arguments.h"

namespace linnet {

// Exit codes of the command.
enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

// Set by SIGINT; commands read it between steps.
std::atomic<bool>& interrupted();

class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;
  virtual void declare(Arguments& args) = 0;
  virtual Result<int> run() = 0;

  bool json() const { return json_; }
  // The first option that was refused while the command line was read.
  const Status& problem() const { return problem_; }
  // What --config had to warn of.
  const std::vector<ConfigWarning>& warnings() const { return warnings_; }

 protected:
  // Adds the flags of the table's rows that belong to these groups, and --config.
  void add_options(Arguments& args, std::initializer_list<OptionGroup> groups);
  void add_option(Arguments& args, const OptionRow& row);  // only this one
  void add_model(Arguments& args);                         // optional positional MODEL; absent: the embedded model
  void add_prompt(Arguments& args);                        // --prompt, --system, --raw
  void add_json(Arguments& args, const char* what);

  Status read_options(const std::string& text);  // of --config
  void keep(Status status);                      // while the command line is read; the first problem counts

  Result<std::string> model_path() const;
  Result<std::shared_ptr<const Model>> load_model() const;
  Result<std::unique_ptr<Engine>> make_engine(std::shared_ptr<const Model> model) const;
  // The options, with the text of the file that --grammar names, if it is one.
  Result<Options> filled_options() const;
  // A request with all options.
  Result<Request> request(std::vector<int32_t> prompt) const;
  // Of the prompt, with the chat template around it unless it is raw.
  Result<std::vector<int32_t>> prompt_tokens(const Tokenizer& tokenizer) const;
  // The template that --chat-template names: its text when that is a file, else what was given.
  Result<std::string> chosen_template() const;

  Options options_;
  std::string model_path_;
  bool json_ = false;

 private:
  std::string prompt_, system_;
  bool raw_ = false;
  Status problem_;
  std::vector<ConfigWarning> warnings_;
};

std::vector<std::unique_ptr<Command>> all_commands();

// The model that comes with Linnet: share/linnet/demo.gguf beside the binary's folder.
Result<std::string> embedded_model_path();

// A file that holds a chat template.
Result<std::string> read_template_file(const std::string& path);

// The ids of --tokens.
Result<std::vector<int32_t>> parse_tokens(const std::string& text);
Status write_file(const std::string& path, std::string_view bytes);
// Little-endian float32.
Status write_floats(const std::string& path, std::span<const float> values);
// A JSON object, or the text of the file of this name.
Result<std::string> json_or_file(const std::string& text);
// All of standard input, as bytes.
Result<std::string> read_stdin();
// "-" means standard input.
Result<std::string> text_argument(const std::string& text);
Status write_stdout(std::string_view bytes);

// A progress line on stderr when it is a terminal, for work over a second; silent otherwise.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  void update(double share);  // 0 to 1

 private:
  std::string what_;
  int64_t start_ms_;
  int64_t last_ms_ = 0;
  bool shown_ = false;
};

}  // namespace linnet

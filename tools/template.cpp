// linnet template: what a chat template makes of messages.
#include "gguf/base/json.h"
#include "gguf/base/os.h"
#include "runtime/chat_format.h"
#include "tools/commands.h"

namespace linnet {
namespace {

class Template : public Command {
 public:
  const char* name() const override { return "template"; }
  const char* summary() const override { return "print the prompt that a chat template makes of messages"; }

  void declare(Arguments& args) override {
    args.option("MODEL", model_path_, "GGUF file, or a file that holds a template; without it the embedded model");
    args.footer(
        "Reads one JSON object from standard input: {\"messages\": [...], \"add_generation_prompt\": true, "
        "\"tools\": [...]}. All members are variables of the template; of bos_token and eos_token a model has its own, "
        "and \"now\" (\"2024-07-26\") is the time for strftime_now.");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const os::Mapping file, os::Mapping::open(path));
    const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    std::vector<std::pair<std::string, std::string>> tokens;
    LINNET_TRY(const std::string source,
               bytes.starts_with("GGUF") ? model_template(path, tokens) : read_template_file(path));
    LINNET_TRY(const ChatTemplate made, ChatTemplate::compile(source));
    LINNET_TRY(const std::string input, read_stdin());
    LINNET_TRY(const Json given, parse_json(input));
    if (!given.is_object()) return fail(Code::json_type, "standard input is {}, expected an object", given.type_name());
    ChatTemplate::Options options;
    if (const Json* now = given.find("now")) {
      LINNET_TRY(const std::string_view text, now->string());
      LINNET_TRY(options.now, jinja::parse_time(text));
    }
    LINNET_TRY(const Json variables, with_tokens(given, tokens));
    LINNET_TRY(const std::string text, made.render(variables, options));
    LINNET_CHECK(write_stdout(text));
    return kDone;
  }

 private:
  using Tokens = std::vector<std::pair<std::string, std::string>>;

  // The template that counts for a model; its special tokens by the names of their variables.
  static Result<std::string> model_template(const std::string& path, Tokens& tokens) {
    LINNET_TRY(const Gguf file, Gguf::open(path));
    LINNET_TRY(const Tokenizer tokenizer, Tokenizer::load(file));
    for (const auto& [name, piece] : special_variables(tokenizer)) tokens.emplace_back(name, piece);
    const std::string_view own = tokenizer.chat_template();
    return std::string(own.empty() ? built_in_template("chatml") : own);
  }

  // Of equal names the first one counts, so what is given.
  static Result<Json> with_tokens(const Json& given, const Tokens& tokens) {
    JsonWriter w;
    w.begin_object();
    for (const auto& [name, value] : given.members()) w.member(name, value);
    for (const auto& [name, piece] : tokens) w.member(name, piece);
    return parse_json(w.end_object().text());
  }
};

}  // namespace

std::unique_ptr<Command> make_template() { return std::make_unique<Template>(); }

}  // namespace linnet

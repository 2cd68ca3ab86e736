#include "tools/command.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "capi/sampler_library.h"
#include "gguf/base/os.h"
#include "runtime/chat_format.h"

namespace linnet {
namespace {

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::io_not_found, "cannot read {}: no such file, or no permission", path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag = false;
  return flag;
}

void Command::keep(Status status) {
  if (!status && problem_) problem_ = std::move(status);
}

void Command::add_options(Arguments& args, std::initializer_list<OptionGroup> groups) {
  const auto read = [this](const std::string& text) { keep(read_options(text)); };
  args.option("--config", read, false,
              "options as a JSON object, or the name of a file that holds one; flags win over it")
      .type_name("JSON")
      .before_others();
  for (const OptionRow& row : option_rows())
    if (!row.flags.empty() && std::find(groups.begin(), groups.end(), row.group) != groups.end()) add_option(args, row);
}

// A person who mistypes a value wants to know before anything runs; a key without an effect is only remarked on.
Status Command::read_options(const std::string& text) {
  LINNET_TRY(const std::string json, json_or_file(text));
  LINNET_TRY(const Config config, read_config(json, ConfigLayer::session, {.strictness = Strictness::values}));
  for (const OptionRow& row : option_rows())
    if (config.given[option_index(row)]) copy_option(row, config.values, options_);
  warnings_.insert(warnings_.end(), config.warnings.begin(), config.warnings.end());
  return {};
}

void Command::add_option(Arguments& args, const OptionRow& row) {
  const std::string flags(row.flags);
  if (std::holds_alternative<bool Options::*>(row.member)) {
    args.flag(
        flags, [this, &row] { keep(set_option(options_, row, "true")); }, std::string(row.sentence));
    return;
  }
  args.option(
          flags, [this, &row](const std::string& text) { keep(set_option(options_, row, text)); },
          std::holds_alternative<std::vector<std::string> Options::*>(row.member),
          fmt::format("{} ({}; default {})", row.sentence, option_range(row), option_value(row, options_)))
      .type_name(std::holds_alternative<int64_t Options::*>(row.member)  ? "INT"
                 : std::holds_alternative<double Options::*>(row.member) ? "NUMBER"
                                                                         : "TEXT");
}

void Command::add_model(Arguments& args) {
  args.option("MODEL", model_path_, "GGUF file (of a split model the first); without it the embedded model");
}

void Command::add_prompt(Arguments& args) {
  args.option("-p,--prompt", prompt_, "the prompt; - reads standard input, bytes as they are").required();
  const Argument system = args.option("--system", system_, "a system message before the prompt (not with --raw)");
  args.flag("--raw", raw_, "the prompt is text to continue; no chat template around it").excludes(system);
}

void Command::add_json(Arguments& args, const char* what) { args.flag("--json", json_, what); }

Result<std::string> Command::model_path() const {
  if (!model_path_.empty()) return model_path_;
  return embedded_model_path();
}

Result<std::shared_ptr<const Model>> Command::load_model() const {
  ModelOptions model_options;
  LINNET_TRY(model_options.kv_type, kv_type_of(options_));
  LINNET_TRY(const std::string path, model_path());
  LINNET_TRY(auto model, Model::load(path, model_options));
  if (!json_)
    for (const std::string& warning : model->warnings) fmt::print(stderr, "warning: {}\n", warning);
  return model;
}

Result<std::unique_ptr<Engine>> Command::make_engine(std::shared_ptr<const Model> model) const {
  EngineOptions chosen = engine_options(options_);
  LINNET_TRY(chosen.custom_samplers, custom_samplers(options_));
  return Engine::create(std::move(model), chosen);
}

Result<Options> Command::filled_options() const {
  Options options = options_;
  if (!options.grammar.empty() && options.grammar.find("::=") == std::string::npos) {
    LINNET_TRY(options.grammar, read_file(options.grammar));
  }
  return options;
}

Result<Request> Command::request(std::vector<int32_t> prompt) const {
  LINNET_TRY(const Options options, filled_options());
  return make_request(options, std::move(prompt));
}

Result<std::vector<int32_t>> Command::prompt_tokens(const Tokenizer& tokenizer) const {
  LINNET_TRY(const std::string prompt, text_argument(prompt_));
  const EncodeOptions plain{.bos = tokenizer.add_bos()};
  if (raw_) return tokenizer.encode(prompt, plain);
  LINNET_TRY(const std::string chosen, chosen_template());
  LINNET_TRY(const ChatFormat format, ChatFormat::create(tokenizer, chosen));
  if (format.foreign()) {
    if (!json_)
      fmt::print(stderr,
                 "note: this model has no chat template and no ChatML tokens; the prompt is continued as it is\n");
    return tokenizer.encode(prompt, plain);
  }
  std::vector<ChatMessage> messages;
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.push_back({"user", prompt});
  LINNET_TRY(const ChatPrompt rendered,
             format.render({.messages = messages_json(messages), .variables = options_.chat_template_kwargs.text}));
  return format.encode(rendered);
}

Result<std::string> Command::chosen_template() const {
  const std::string& given = options_.chat_template;
  const bool is_text = given.find("{{") != given.npos || given.find("{%") != given.npos;
  if (given.empty() || is_text || !built_in_template(given).empty()) return given;
  return read_template_file(given);
}

Result<std::string> read_template_file(const std::string& path) {
  LINNET_TRY(const os::Mapping file, os::Mapping::open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (text.size() > ChatTemplate::kMaxBytes)
    return fail(Code::too_large, "{} has {} bytes; a chat template has at most {}", path, text.size(),
                ChatTemplate::kMaxBytes);
  return std::string(text);
}

Result<std::string> embedded_model_path() {
  std::error_code problem;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", problem);
  const std::filesystem::path path = self.parent_path().parent_path() / "share" / "linnet" / "demo.gguf";
  if (problem || !std::filesystem::exists(path, problem))
    return fail(Code::io_not_found,
                "the embedded model is not at {}; build or install Linnet completely, or name a model", path.string());
  return path.string();
}

Result<std::vector<int32_t>> parse_tokens(const std::string& text) {
  std::vector<int32_t> tokens;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t end = std::min(text.find(',', at), text.size());
    int32_t id = -1;
    const auto [next, problem] = std::from_chars(text.data() + at, text.data() + end, id);
    if (problem != std::errc() || next != text.data() + end || id < 0)
      return fail(Code::invalid_argument, "--tokens holds \"{}\", expected token ids separated by commas",
                  text.substr(at, end - at));
    tokens.push_back(id);
    at = end + 1;
  }
  return tokens;
}

Status write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return {};
  return fail(Code::io_write, "cannot write {} bytes to {}; check the path, permissions and free space", bytes.size(),
              path);
}

Status write_floats(const std::string& path, std::span<const float> values) {
  return write_file(path, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

Result<std::string> json_or_file(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos || text[first] == '{') return text;
  return read_file(text);
}

Result<std::string> read_stdin() {
  std::string text;
  char buffer[65536];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) text.append(buffer, n);
  if (std::ferror(stdin)) return fail(Code::io_read, "standard input could not be read to its end");
  return text;
}

Result<std::string> text_argument(const std::string& text) {
  if (text == "-") return read_stdin();
  return text;
}

Status write_stdout(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
    return fail(Code::io_write, "standard output does not take the result");
  return {};
}

Progress::Progress(std::string what) : what_(std::move(what)), start_ms_(now_ms()) {}

void Progress::update(double share) {
  const int64_t now = now_ms();
  if (now - start_ms_ < 1000 || now - last_ms_ < 200 || !os::is_terminal(2)) return;
  last_ms_ = now;
  shown_ = true;
  fmt::print(stderr, "\r{}: {:3.0f} % after {} s ", what_, share * 100, (now - start_ms_) / 1000);
}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r{:60}\r", "");
}

}  // namespace linnet

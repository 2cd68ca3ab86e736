#include "runtime/template/template.h"

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/json_value.h"
#include "runtime/template/nodes.h"
#include "runtime/template/parser.h"
#include "runtime/template/run.h"

namespace linnet {
namespace {

// All line ends as \n, without one at the end of the text.
std::string plain_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

ChatTemplate::ChatTemplate(std::unique_ptr<const jinja::Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::compile(std::string_view source) {
  if (source.size() > kMaxBytes)
    return fail(Code::too_large, "the chat template has {} bytes; at most {} are read", source.size(), kMaxBytes);
  if (!utf8_valid(source)) return fail(Code::invalid_argument, "the chat template is not valid UTF-8");
  auto program = std::make_unique<jinja::Program>();
  program->source = plain_lines(source);
  if (auto parsed = jinja::Parser(*program).parse(); !parsed) {
    return fail(parsed.error().code, "the chat template is not valid: {}", parsed.error().message);
  }
  return ChatTemplate(std::move(program));
}

Result<std::string> ChatTemplate::render(const Json& variables, const Options& options) const {
  jinja::Run run(*program_, options.limits, options.now);
  for (const auto& [name, json] : variables.members()) {
    const jinja::Name known = program_->find_name(name);
    if (known == nullptr) continue;
    LINNET_TRY(jinja::Value value, jinja::value_of(run.heap(), json));
    run.define(known, std::move(value));
  }
  const auto flow = execute(run, program_->body);
  if (!flow) return run.located(flow.error());
  return run.take_output();
}

}  // namespace linnet

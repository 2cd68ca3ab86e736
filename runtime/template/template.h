// A chat template: Jinja2 text that turns messages into a prompt. docs/chat-templates.md says what is supported.
//
// What a template may do is bounded (Limits): it reads the variables it is given, sees no files, no host objects and no
// other templates, and ends.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "runtime/template/clock.h"
#include "runtime/template/heap.h"

namespace linnet {

namespace jinja {
struct Program;
}

// Immutable and thread-safe: compiled once, rendered by any number of threads.
class ChatTemplate {
 public:
  static constexpr size_t kMaxBytes = 512 << 10;

  // invalid_argument with line and column for what is no template; unsupported for include, import and the like;
  // too_large beyond kMaxBytes and where it is nested too deeply.
  static Result<ChatTemplate> compile(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  struct Options {
    jinja::Limits limits;
    std::optional<jinja::CivilTime> now;  // for strftime_now; absent: the clock
  };
  // The members of the object are the template's variables. An error says the line it comes from; too_large for a
  // limit that was reached.
  Result<std::string> render(const Json& variables, const Options& options) const;
  Result<std::string> render(const Json& variables) const { return render(variables, Options()); }

 private:
  explicit ChatTemplate(std::unique_ptr<const jinja::Program> program);
  std::unique_ptr<const jinja::Program> program_;
};

}  // namespace linnet

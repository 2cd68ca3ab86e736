// Where the library's messages go: a value that is handed down, never a global. The library itself prints nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace linnet {

enum class LogLevel : uint8_t { trace, debug, info, warning, error, off };

struct LogSink {
  // `tag` names the part that speaks ("gguf", "engine"). Called from any thread; must not throw. Both views are valid
  // only during the call.
  void (*write)(void* context, LogLevel level, std::string_view tag, std::string_view message) = nullptr;
  void* context = nullptr;
  LogLevel least = LogLevel::info;  // below this nothing is formatted

  bool wants(LogLevel level) const { return write != nullptr && level >= least && level != LogLevel::off; }

  template <class... Args>
  void log(LogLevel level, std::string_view tag, fmt::format_string<Args...> text, Args&&... args) const {
    if (wants(level)) write(context, level, tag, fmt::format(text, std::forward<Args>(args)...));
  }
};

constexpr std::string_view log_level_name(LogLevel level) {
  constexpr std::string_view names[] = {"trace", "debug", "info", "warning", "error", "off"};
  return names[size_t(level)];
}

}  // namespace linnet

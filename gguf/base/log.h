// Where the library's messages go: a value that is handed down, never a global. The library itself prints nothing.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace linnet {

enum class LogLevel : uint8_t { debug, info, warning, error, off };

constexpr std::string_view log_level_name(LogLevel level) {
  constexpr std::string_view names[] = {"debug", "info", "warning", "error", "off"};
  return names[size_t(level)];
}

// A number or text that belongs to a message: name=value in a line of text, a member of its own in JSON.
struct LogField {
  template <class T>
  LogField(std::string_view field, const T& v) : name(field), value(fmt::format("{}", v)), text(!kBare<T>) {}
  LogField(std::string_view field, double v) : name(field), value(fmt::format("{:.3f}", v)) {}

  std::string_view name;
  std::string value;
  bool text = false;  // otherwise a number, true or false

 private:
  template <class T>
  static constexpr bool kBare = std::is_arithmetic_v<T>;
};

struct LogRecord {
  LogLevel level;
  std::string_view tag;  // the part that speaks: "PERF", "MEM", "TASK", "MODEL", "SESSION", "CONFIG"
  std::string_view message;
  std::span<const LogField> fields;
};

struct LogSink {
  // Called from any thread; must not throw. What the record points to is valid only during the call.
  void (*write)(void* context, const LogRecord& record) = nullptr;
  void* context = nullptr;
  LogLevel least = LogLevel::info;  // below this nothing is formatted

  bool wants(LogLevel level) const { return write != nullptr && level >= least && level != LogLevel::off; }

  template <class... Args>
  void log(LogLevel level, std::string_view tag, fmt::format_string<Args...> text, Args&&... args) const {
    if (wants(level)) write(context, {level, tag, fmt::format(text, std::forward<Args>(args)...), {}});
  }
  // A message with its numbers beside it.
  void event(LogLevel level, std::string_view tag, std::string_view message,
             std::initializer_list<LogField> fields) const {
    if (wants(level)) write(context, {level, tag, message, {fields.begin(), fields.size()}});
  }
};

}  // namespace linnet

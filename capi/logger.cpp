#include "capi/logger.h"

#include <chrono>
#include <ctime>
#include <mutex>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "gguf/base/json.h"

namespace linnet {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

// UTC, to the millisecond.
std::string time_text(char between, const char* end) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}.{:03}{}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     between, utc.tm_hour, utc.tm_min, utc.tm_sec, ms, end);
}

std::string json_line(const LoggerOptions& options, const LogRecord& record) {
  JsonWriter w;
  w.begin_object();
  if (options.timestamps) w.member("time", time_text('T', "Z"));
  w.member("level", log_level_name(record.level)).member("tag", record.tag).member("message", record.message);
  for (const LogField& field : record.fields) {
    w.key(field.name);
    if (field.text) {
      w.value(field.value);
    } else {
      w.raw(field.value);
    }
  }
  return w.end_object().text();
}

// A line stays a line: line ends and other control characters inside a message are escaped.
std::string text_line(const LoggerOptions& options, const LogRecord& record) {
  constexpr std::string_view colors[] = {"\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
  std::string line;
  if (options.timestamps) line = time_text(' ', " ");
  const std::string level = fmt::format("{:<7}", log_level_name(record.level));
  line += options.colors ? fmt::format("{}{}\x1b[0m", colors[static_cast<size_t>(record.level)], level) : level;
  line += fmt::format(" [{}] ", record.tag);
  const auto add = [&](std::string_view text) {
    for (const char c : text) {
      if (static_cast<unsigned char>(c) >= 0x20) {
        line += c;
      } else {
        line += c == '\n' ? "\\n" : fmt::format("\\x{:02x}", c);
      }
    }
  };
  add(record.message);
  for (const LogField& field : record.fields) {
    line += fmt::format(" {}=", field.name);
    add(field.value);
  }
  return line;
}

}  // namespace

struct Logger::Impl {
  LoggerOptions options;
  std::shared_ptr<spdlog::sinks::sink> out;  // locks itself; null: none
  std::recursive_mutex mutex;                // of the callback, which may cause another line

  static void write(void* context, const LogRecord& record) noexcept;
};

// A log that cannot be written to (a full disk, no memory) is no reason to stop: the line is lost.
void Logger::Impl::write(void* context, const LogRecord& record) noexcept {
  auto& self = *static_cast<Impl*>(context);
  try {
    if (self.out) {
      const std::string line =
          self.options.format == LogFormat::json ? json_line(self.options, record) : text_line(self.options, record);
      self.out->log({spdlog::string_view_t(), spdlog_level(record.level), line});
      self.out->flush();
    }
    if (self.options.callback) {
      const std::lock_guard lock(self.mutex);
      self.options.callback(self.options.context, record);
    }
  } catch (...) {}
}

Result<std::unique_ptr<Logger>> Logger::create(const LoggerOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  try {
    if (!options.file.empty() && options.max_bytes > 0) {
      impl->out =
          std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, options.max_bytes, options.kept_files);
    } else if (!options.file.empty()) {
      impl->out = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    } else if (!options.callback) {
      impl->out = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    }
    if (impl->out) impl->out->set_pattern("%v");
  } catch (const spdlog::spdlog_ex& e) {
    return fail(Code::io_write, "the log file {} cannot be opened: {}; name another one in logging.file", options.file,
                e.what());
  }
  return std::unique_ptr<Logger>(new Logger(std::move(impl)));
}

Logger::Logger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  sink_ = {.write = &Impl::write, .context = impl_.get(), .least = impl_->options.least};
}

Logger::~Logger() = default;

}  // namespace linnet

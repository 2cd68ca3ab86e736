// The log of one runtime: lines of text or JSON, to a file with rotation, to standard error, or to the host. Built on
// spdlog's sinks.
//
//   2026-11-20 17:05:12.345 info  [MODEL] loaded demo.gguf bytes=2881024 ms=12.512
//   {"time":"2026-11-20T17:05:12.345Z","level":"info","tag":"MODEL","message":"loaded demo.gguf","bytes":2881024,...}
#pragma once

#include <memory>
#include <string>

#include "gguf/base/error.h"
#include "gguf/base/log.h"

namespace linnet {

enum class LogFormat : uint8_t { text, json };

struct LoggerOptions {
  LogLevel least = LogLevel::info;
  LogFormat format = LogFormat::text;
  bool timestamps = true;
  bool colors = false;      // levels in ANSI colours; never in JSON
  std::string file;         // empty: standard error, or only the callback when there is one
  uint64_t max_bytes = 0;   // of the file, which is then renamed to NAME.1.EXT and begun anew; 0: no limit
  uint32_t kept_files = 3;  // of those that were renamed
  void (*callback)(void* context, const LogRecord& record) = nullptr;  // one call at a time
  void* context = nullptr;
};

// Immutable but for what is behind it; any thread may write.
class Logger {
 public:
  // io_write, io_permission, io_not_found when the file cannot be opened; its folder is made if it is missing.
  static Result<std::unique_ptr<Logger>> create(const LoggerOptions& options);
  ~Logger();

  // Valid as long as the logger. Lines are on their way to the file when write() returns.
  const LogSink& sink() const { return sink_; }

 private:
  struct Impl;
  explicit Logger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  LogSink sink_;
};

}  // namespace linnet

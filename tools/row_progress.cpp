#include "tools/row_progress.h"

#include <algorithm>
#include <chrono>

#include "tools/command.h"

namespace linnet {

RowProgress::RowProgress(const Engine& engine, std::string what, int64_t rows) {
  const int64_t before = engine.stats().rows;
  thread_ = std::jthread([this, &engine, what = std::move(what), rows, before](const std::stop_token& stop) {
    Progress progress(what);
    for (std::unique_lock lock(mutex_); !stop.stop_requested();) {
      changed_.wait_for(lock, stop, std::chrono::milliseconds(200), [] { return false; });
      const auto done = static_cast<double>(engine.stats().rows - before);
      progress.update(std::min(1.0, done / static_cast<double>(std::max<int64_t>(rows, 1))));
    }
  });
}

void RowProgress::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace linnet

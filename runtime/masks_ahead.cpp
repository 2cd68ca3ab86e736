#include "runtime/masks_ahead.h"

#include <new>
#include <system_error>

namespace linnet {

MasksAhead::~MasksAhead() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void MasksAhead::add(Chain& chain) {
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    const std::lock_guard lock(mutex_);
    chains_.push_back(&chain);
  } catch (const std::system_error&) { return; } catch (const std::bad_alloc&) {
    return;
  }
  wake_.notify_one();
}

void MasksAhead::finish() {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  chains_.clear();
  idle_.wait(lock, [&] { return !busy_; });
  prepared_ = done_;
}

void MasksAhead::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return closing_ || !chains_.empty(); });
    if (closing_) return;
    Chain& chain = *chains_.back();
    chains_.pop_back();
    busy_ = true;
    lock.unlock();
    bool ready = false;
    try {
      chain.prepare();
      ready = !chain.can_prepare();
    } catch (const std::bad_alloc&) {}  // sample() will want the memory, too, and says so
    lock.lock();
    busy_ = false;
    if (ready) ++done_;
    idle_.notify_one();
  }
}

}  // namespace linnet

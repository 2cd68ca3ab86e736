// The grammar masks of a step, computed while its forward pass runs, on a thread of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "sampling/chain.h"

namespace linnet {

class MasksAhead {
 public:
  MasksAhead() = default;
  ~MasksAhead();  // without chains

  // The chain is the thread's own until finish(). The first one starts the thread; where the system gives none, masks
  // are computed when they are needed.
  void add(Chain& chain);
  // Chains that were not begun are left to Chain::sample().
  void finish();
  // Chains that were ready when finish() returned, since the beginning.
  int64_t prepared() const { return prepared_; }

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<Chain*> chains_;
  bool busy_ = false, closing_ = false;
  int64_t done_ = 0;
  int64_t prepared_ = 0;  // the caller's copy of done_
  std::thread thread_;
};

}  // namespace linnet

// Shows on a terminal how far the engine is with the rows of a long call, which itself waits.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/engine.h"

namespace linnet {

class RowProgress {
 public:
  // `rows`: how many the call computes.
  RowProgress(const Engine& engine, std::string what, int64_t rows);
  void stop();  // when it is done, or has something else to show

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

}  // namespace linnet

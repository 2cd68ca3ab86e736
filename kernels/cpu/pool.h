// Threads of the CPU backend: one caller and size-1 workers that run the same function side by side.
//
// Workers wait for work by spinning for a few microseconds, then sleep; so does the barrier. Right (not only fast) with
// any number of threads, also more than there are cores. One run() at a time; run() may not be called from inside one
// (an assertion, since it would be our own mistake).
#pragma once

#include <cstdint>
#include <memory>

#include "gguf/base/error.h"
#include "kernels/cpu/team.h"

namespace linnet {

class Pool {
 public:
  // 1 <= size <= 256 threads, the caller included. Fails with thread_start when the system gives no thread.
  static Result<std::unique_ptr<Pool>> create(int32_t size);
  ~Pool();
  int32_t size() const;
  // Runs work(context, team) on every member; returns when all are done. Workers use the default MXCSR; so does the
  // caller while it computes (its own is restored).
  void run(TeamWork work, void* context);
  // The same on the caller alone, as a team of one: for work that is shorter than waking anybody.
  void run_alone(TeamWork work, void* context);

 private:
  friend struct Team;
  struct Impl;
  explicit Pool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

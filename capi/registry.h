// The runtimes of this process, by their handles: the only state of the library that has no owner. A C interface whose
// handles are numbers needs one place that knows them; it lives until the process ends, since hosts unload libraries with
// runtimes still open.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "capi/context.h"
#include "gguf/base/error.h"

namespace linnet {

class Registry {
 public:
  static Registry& instance();

  // `keep` lives as long as the context.
  Result<uint32_t> add(std::unique_ptr<Context> context, std::shared_ptr<void> keep);
  Result<std::shared_ptr<Context>> find(uint32_t id);
  // Closes it; invalid_argument inside a callback.
  Status remove(uint32_t id);

 private:
  Registry() = default;
  std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<Context>> all_;
  uint32_t last_ = 0;
};

// Marks that this thread runs a callback of the host.
class CallbackScope {
 public:
  CallbackScope();
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};
// An error on a thread that does: what waits for the engine must not be called by it.
Status not_in_callback();

}  // namespace linnet

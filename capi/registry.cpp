#include "capi/registry.h"

#include <limits>
#include <utility>

namespace linnet {
namespace {

thread_local int callback_depth = 0;

}  // namespace

Registry& Registry::instance() {
  static auto* const registry = new Registry();  // never destroyed: see above
  return *registry;
}

Result<uint32_t> Registry::add(std::unique_ptr<Context> context, std::shared_ptr<void> keep) {
  struct Both {
    std::shared_ptr<void> keep;  // destroyed last
    std::unique_ptr<Context> context;
  };
  const auto both = std::make_shared<Both>(Both{std::move(keep), std::move(context)});
  const std::lock_guard lock(mutex_);
  if (last_ == std::numeric_limits<uint32_t>::max())
    return fail(Code::busy, "all {} handles have been given out; start the process again", last_);
  all_.emplace(last_ + 1, std::shared_ptr<Context>(both, both->context.get()));
  return ++last_;
}

Result<std::shared_ptr<Context>> Registry::find(uint32_t id) {
  const std::lock_guard lock(mutex_);
  const auto it = all_.find(id);
  if (it != all_.end()) return it->second;
  return fail(Code::handle_unknown, "there is no runtime {}; it was never created, or it is destroyed", id);
}

Status Registry::remove(uint32_t id) {
  LINNET_CHECK(not_in_callback());
  std::shared_ptr<Context> context;
  {
    const std::lock_guard lock(mutex_);
    const auto it = all_.find(id);
    if (it == all_.end())
      return fail(Code::handle_unknown, "there is no runtime {}; it was never created, or it is destroyed", id);
    context = std::move(it->second);
    all_.erase(it);
  }
  context->close();
  return {};
}

CallbackScope::CallbackScope() { ++callback_depth; }
CallbackScope::~CallbackScope() { --callback_depth; }

Status not_in_callback() {
  if (callback_depth == 0) return {};
  return fail(Code::invalid_argument,
              "a callback called a function that waits for requests; return from the callback first");
}

}  // namespace linnet

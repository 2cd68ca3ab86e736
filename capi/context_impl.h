// Inside capi/context.h: who is inside a call, and the errors that all parts give.
#pragma once

#include <new>
#include <utility>

#include "capi/context.h"

namespace linnet {

inline Error closed() { return fail(Code::cancelled, "the runtime is closed"); }

inline Error no_model(uint32_t id) {
  return fail(Code::handle_unknown, "there is no model {}; it was never loaded, or it is unloaded", id);
}

inline Error no_session(uint32_t id) {
  return fail(Code::handle_unknown, "there is no session {}; it was never opened, or it is closed", id);
}

// A line of the log after something is done: that it finds no memory does not undo it.
template <class Write>
void quietly(Write&& write) {
  try {
    write();
  } catch (const std::bad_alloc&) {}
}

// Counts a call as long as it is under way.
class Context::Inside {
 public:
  explicit Inside(Context& context) : context_(context) {
    const std::lock_guard lock(context_.mutex_);
    open_ = !context_.closed_;
    if (open_) ++context_.inside_;
  }
  ~Inside() {
    if (!open_) return;
    const std::lock_guard lock(context_.mutex_);
    --context_.inside_;
    context_.left_.notify_all();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return open_; }

 private:
  Context& context_;
  bool open_;
};

class Context::Use {
 public:
  static Result<Use> begin(Context& context, uint32_t id) {
    const std::lock_guard lock(context.mutex_);
    if (context.closed_) return closed();
    const auto it = context.sessions_.find(id);
    if (it == context.sessions_.end()) return no_session(id);
    const auto model = context.models_.find(context.table_.owner(id));
    if (model == context.models_.end() || model->second.leaving) {
      return fail(Code::cancelled, "session {}'s model is being unloaded", id);
    }
    Use use(context, id);
    use.session = it->second.session;
    use.layers = it->second.layers;
    context.table_.begin_use(id, context.now_ms());
    ++context.inside_;
    return use;
  }
  Use(Use&& other) noexcept
      : session(std::move(other.session)),
        layers(std::move(other.layers)),
        context_(std::exchange(other.context_, nullptr)),
        id_(other.id_) {}
  ~Use() {
    if (!context_) return;
    session.reset();  // not under the mutex: it may be the last one
    const std::lock_guard lock(context_->mutex_);
    context_->table_.end_use(id_, context_->now_ms());
    --context_->inside_;
    context_->left_.notify_all();
  }

  std::shared_ptr<Session> session;
  ConfigLayers layers;

 private:
  Use(Context& context, uint32_t id) : context_(&context), id_(id) {}
  Context* context_;
  uint32_t id_;
};

}  // namespace linnet

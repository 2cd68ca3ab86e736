#include "capi/stream.h"

#include <new>
#include <system_error>
#include <utility>

namespace linnet {

Result<std::shared_ptr<Stream>> Stream::start(Run run, std::function<void(Session::Call& call)> cancel) {
  std::shared_ptr<Stream> stream(new Stream());
  stream->cancel_ = std::move(cancel);
  const auto work = [self = stream.get(), run = std::move(run)] {
    const auto on_text = [self](std::string_view text) {
      const std::lock_guard lock(self->mutex_);
      self->pieces_.emplace_back(text);
      self->arrived_.notify_all();
      return true;
    };
    std::optional<Result<Completion>> result;
    try {
      result = run(on_text, self->call_);
    } catch (const std::bad_alloc&) { result = Error{Code::out_of_memory, "out of memory"}; }
    const std::lock_guard lock(self->mutex_);
    self->result_ = std::move(result);
    self->arrived_.notify_all();
  };
  try {
    stream->thread_ = std::thread(work);
  } catch (const std::system_error& e) {
    return fail(Code::thread_start, "the system gives no thread for a stream: {}", e.what());
  }
  return stream;
}

Stream::~Stream() { end(); }

void Stream::end() {
  if (!thread_.joinable()) return;
  cancel_(call_);
  thread_.join();
}

Result<std::optional<std::string_view>> Stream::next() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return !pieces_.empty() || result_; });
  if (!pieces_.empty()) {
    piece_ = std::move(pieces_.front());
    pieces_.pop_front();
    return std::optional<std::string_view>(piece_);
  }
  if (!*result_) return result_->error();
  return std::optional<std::string_view>();
}

Result<Completion> Stream::finish() {
  end();
  const std::lock_guard lock(mutex_);
  return std::move(*result_);
}

}  // namespace linnet

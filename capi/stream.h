// A request whose text is taken piece by piece, by a caller that comes for it. The request runs by itself, on a thread of
// its own; pieces wait here until they are taken.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "gguf/base/error.h"
#include "runtime/session.h"

namespace linnet {

class Stream {
 public:
  // Runs the request: with a callback for its text, and a call that can be cancelled.
  using Run =
      std::function<Result<Completion>(const std::function<bool(std::string_view)>& on_text, Session::Call& call)>;
  // thread_start when the system has no thread for it. `cancel` interrupts a call.
  static Result<std::shared_ptr<Stream>> start(Run run, std::function<void(Session::Call& call)> cancel);
  ~Stream();  // cancels, and waits for the end

  // Waits for the next piece; nullopt at the end, or the request's error. Valid until the next call.
  Result<std::optional<std::string_view>> next();
  // Cancels what is still to come, and gives the completion. Once.
  Result<Completion> finish();

 private:
  Stream() = default;
  void end();

  Session::Call call_;
  std::function<void(Session::Call& call)> cancel_;
  std::thread thread_;
  std::string piece_;  // the one that was taken last

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::string> pieces_;
  std::optional<Result<Completion>> result_;
};

}  // namespace linnet

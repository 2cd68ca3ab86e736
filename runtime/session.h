// A session: a conversation with a model that remembers what was said, and computes only what is new.
//
// Any thread may call; calls for one session take turns in the order in which they came. The history changes when an
// answer is there, never before: an error, or a cancellation before the first token, leaves it as it was.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/chat_format.h"
#include "runtime/engine.h"
#include "runtime/session_file.h"

namespace linnet {

// A model with all that its sessions share.
struct ServedModel {
  std::shared_ptr<const Model> model;
  ChatFormat format;  // of model's tokenizer
  std::unique_ptr<Engine> engine;
  std::string vocabulary;  // whose tokens mean the same: architecture, size, hash

  static Result<std::shared_ptr<ServedModel>> create(std::shared_ptr<const Model> model, std::string_view chat_template,
                                                     const EngineOptions& options);
};

// What a session has used so far.
struct SessionUse {
  int64_t requests = 0;
  int64_t messages = 0;
  int64_t history_bytes = 0;  // of text
  int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, discarded_tokens = 0;
  bool running = false;
  int64_t waiting = 0;  // calls behind the one that runs
};

class Session {
 public:
  // A way to interrupt one call.
  struct Call {
    std::atomic<bool> cancelled = false;
  };

  // `salt` separates tenants: pages are shared between sessions of equal salt only.
  static Result<std::shared_ptr<Session>> open(std::shared_ptr<ServedModel> served, uint64_t salt);
  ~Session();  // nobody may be inside a call
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // What a request says beside its prompt, conversation and salt, which are the session's.
  // The user's next message; the answer joins the history. `variables`: of the template, a JSON object or empty.
  Result<Completion> chat(std::string_view message, Request request, const std::string& variables = {},
                          Call* call = nullptr);
  // A prompt as it is; the history stays out of it.
  Result<Completion> complete(std::vector<int32_t> prompt, Request request, Call* call = nullptr);

  // Ends the call that runs and those that wait, or only one. Does not wait for them.
  void cancel();
  void cancel(Call& call);
  // The same, and every later call fails.
  void close();

  // These wait for their turn.
  Result<std::shared_ptr<Session>> fork();
  Status reset();
  Result<SavedSession> saved();
  // Replaces the history; whether what was computed of it could be taken over too.
  Result<bool> restore(SavedSession saved);

  SessionUse use() const;
  std::vector<ChatMessage> history() const;
  const ServedModel& served() const { return *served_; }

 private:
  class Turn;

  Session(std::shared_ptr<ServedModel> served, uint64_t salt, int64_t conversation);
  Result<Completion> run(Request& request, const Call& call);
  Result<Completion> answer(std::vector<ChatMessage>& messages, ChatTokens& tokens, const std::string& variables,
                            Request& request, const Call& call);
  void count(const Completion& completion);

  const std::shared_ptr<ServedModel> served_;
  const uint64_t salt_;

  // Whoever has the turn.
  int64_t conversation_;
  ChatTokens tokens_;

  mutable std::mutex mutex_;
  std::condition_variable next_;
  std::list<Call*> calls_;  // the first one has the turn
  bool closed_ = false;
  std::vector<ChatMessage> messages_;  // changed by whoever has the turn
  SessionUse use_;
};

}  // namespace linnet

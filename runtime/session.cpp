#include "runtime/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "gguf/base/hash.h"
#include "gguf/base/utf8.h"

namespace linnet {

Result<std::shared_ptr<ServedModel>> ServedModel::create(std::shared_ptr<const Model> model,
                                                         std::string_view chat_template, const EngineOptions& options) {
  LINNET_TRY(ChatFormat format, ChatFormat::create(model->tokenizer(), chat_template));
  LINNET_TRY(std::unique_ptr<Engine> engine, Engine::create(model, options));
  const Tokenizer& tokenizer = model->tokenizer();
  Xxh64 hash;
  for (int32_t token = 0; token < tokenizer.size(); ++token) {
    const std::string_view piece = tokenizer.piece(token);
    const uint64_t bytes = piece.size();
    hash.update(std::as_bytes(std::span(&bytes, 1)));
    hash.update(std::as_bytes(std::span(piece)));
  }
  std::string vocabulary = fmt::format("{}/{}/{:016x}", model->facts.architecture, tokenizer.size(), hash.digest());
  return std::make_shared<ServedModel>(
      ServedModel{std::move(model), std::move(format), std::move(engine), std::move(vocabulary)});
}

// A place in the line, given up in the end.
class Session::Turn {
 public:
  explicit Turn(Session& session, Call* given = nullptr) : session_(session), call(given ? *given : own_) {}
  // Waits until all calls before this one are done, or for `timeout_ms` when that is positive.
  Status wait(double timeout_ms = 0);
  // For a request: true when it was cancelled before its turn came, and has said nothing.
  Result<bool> wait_or_cancelled(double timeout_ms);
  ~Turn();

  Session& session_;
  Call& call;

 private:
  Call own_;
  std::list<Call*>::iterator place_;
  bool entered_ = false;
};

Status Session::Turn::wait(double timeout_ms) {
  std::unique_lock lock(session_.mutex_);
  if (session_.closed_) return fail(Code::cancelled, "the session is closed");
  place_ = session_.calls_.insert(session_.calls_.end(), &call);
  entered_ = true;
  const auto ready = [&] { return session_.calls_.front() == &call || call.cancelled; };
  if (timeout_ms > 0) {
    const auto time = std::chrono::duration<double, std::milli>(timeout_ms);
    if (!session_.next_.wait_for(lock, time, ready)) {
      return fail(Code::timeout, "the session was busy with earlier requests for {} ms, the deadline in the queue",
                  timeout_ms);
    }
  } else {
    session_.next_.wait(lock, ready);
  }
  if (session_.closed_) return fail(Code::cancelled, "the session is closed");
  if (call.cancelled) return fail(Code::cancelled, "the request was cancelled while it waited for its session");
  return {};
}

Result<bool> Session::Turn::wait_or_cancelled(double timeout_ms) {
  const Status came = wait(timeout_ms);
  if (came) return false;
  const std::lock_guard lock(session_.mutex_);
  if (came.error().code == Code::cancelled && !session_.closed_) return true;
  return came.error();
}

Session::Turn::~Turn() {
  if (!entered_) return;
  const std::lock_guard lock(session_.mutex_);
  session_.calls_.erase(place_);
  session_.next_.notify_all();
}

Session::Session(std::shared_ptr<ServedModel> served, uint64_t salt, int64_t conversation)
    : served_(std::move(served)), salt_(salt), conversation_(conversation), tokens_(served_->format) {}

Result<std::shared_ptr<Session>> Session::open(std::shared_ptr<ServedModel> served, uint64_t salt) {
  const int64_t conversation = served->engine->open_conversation();
  if (conversation == 0) return fail(Code::out_of_memory, "out of memory");
  return std::shared_ptr<Session>(new Session(std::move(served), salt, conversation));
}

Session::~Session() { served_->engine->close_conversation(conversation_); }

Result<Completion> Session::run(Request& request, const Call& call) {
  request.conversation = conversation_;
  request.salt = salt_;
  return served_->engine->generate(request, &call.cancelled);
}

void Session::count(const Completion& completion) {
  ++use_.requests;
  use_.prompt_tokens += completion.prompt_tokens;
  use_.cached_tokens += completion.cached_tokens;
  use_.completion_tokens += completion.completion_tokens;
  use_.discarded_tokens += completion.discarded_tokens;
}

// A history that is longer than the context, and that the conversation does not know (any more: it was resumed with
// another model, or its pages were let go), loses its oldest messages, as far as contexts may be shifted.
Result<Completion> Session::answer(std::vector<ChatMessage>& messages, ChatTokens& tokens, const std::string& variables,
                                   Request& request, const Call& call) {
  for (;;) {
    LINNET_TRY(ChatPrompt prompt,
               served_->format.render({.messages = messages_json(messages), .variables = variables}));
    LINNET_TRY(request.prompt, tokens.turn(std::move(prompt)));
    Result<Completion> completion = run(request, call);
    if (completion || completion.error().code != Code::prompt_too_long || !request.shift || messages.size() < 3)
      return completion;
    const auto pairs = static_cast<std::ptrdiff_t>(std::max<size_t>(1, messages.size() / 8));
    messages.erase(messages.begin(), messages.begin() + 2 * pairs);
    tokens.restore({}, {});
  }
}

Result<Completion> Session::chat(std::string_view message, Request request, const std::string& variables, Call* call) {
  if (!utf8_valid(message)) {
    return fail(Code::invalid_argument, "the message is not UTF-8: {}; convert it first", quoted(message));
  }
  Turn turn(*this, call);
  LINNET_TRY(const bool cancelled, turn.wait_or_cancelled(request.queue_timeout_ms));
  if (cancelled) return Completion{.finish_reason = FinishReason::cancelled};
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", std::string(message)});
  ChatTokens tokens = tokens_;
  LINNET_TRY(Completion completion, answer(messages, tokens, variables, request, turn.call));
  const bool said_nothing = completion.finish_reason == FinishReason::cancelled && completion.tokens.empty();
  const std::lock_guard lock(mutex_);
  count(completion);
  if (said_nothing) return completion;
  messages.push_back({"assistant", completion.text});
  // Text and tokens are the same thing only where nothing of the text was cut.
  if (completion.finish_reason == FinishReason::eog || completion.finish_reason == FinishReason::max_tokens)
    tokens.answered(completion.text, completion.tokens);
  messages_ = std::move(messages);
  tokens_ = std::move(tokens);
  return completion;
}

Result<Completion> Session::complete(std::vector<int32_t> prompt, Request request, Call* call) {
  Turn turn(*this, call);
  LINNET_TRY(const bool cancelled, turn.wait_or_cancelled(request.queue_timeout_ms));
  if (cancelled) return Completion{.finish_reason = FinishReason::cancelled};
  request.prompt = std::move(prompt);
  LINNET_TRY(Completion completion, run(request, turn.call));
  const std::lock_guard lock(mutex_);
  count(completion);
  return completion;
}

void Session::cancel() {
  const std::lock_guard lock(mutex_);
  for (Call* call : calls_) call->cancelled = true;
  next_.notify_all();
}

void Session::cancel(Call& call) {
  const std::lock_guard lock(mutex_);
  call.cancelled = true;
  next_.notify_all();
}

void Session::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (Call* call : calls_) call->cancelled = true;
  next_.notify_all();
}

Result<std::shared_ptr<Session>> Session::fork() {
  Turn turn(*this);
  LINNET_CHECK(turn.wait());
  LINNET_TRY(const int64_t conversation, served_->engine->fork_conversation(conversation_));
  std::shared_ptr<Session> copy(new Session(served_, salt_, conversation));
  copy->tokens_ = tokens_;
  copy->messages_ = history();
  return copy;
}

Status Session::reset() {
  Turn turn(*this);
  LINNET_CHECK(turn.wait());
  const int64_t fresh = served_->engine->open_conversation();
  if (fresh == 0) return fail(Code::out_of_memory, "out of memory");
  served_->engine->close_conversation(std::exchange(conversation_, fresh));
  tokens_.restore({}, {});
  const std::lock_guard lock(mutex_);
  messages_.clear();
  return {};
}

Result<SavedSession> Session::saved() {
  Turn turn(*this);
  LINNET_CHECK(turn.wait());
  SavedSession saved{
      .messages = history(), .text = tokens_.text(), .tokens = tokens_.tokens(), .model = served_->vocabulary};
  LINNET_TRY(saved.pages, served_->engine->park_conversation(conversation_));
  return saved;
}

Result<bool> Session::restore(SavedSession saved) {
  Turn turn(*this);
  LINNET_CHECK(turn.wait());
  const int32_t size = served_->model->tokenizer().size();
  const bool known =
      saved.model == served_->vocabulary &&
      std::all_of(saved.tokens.begin(), saved.tokens.end(), [&](int32_t token) { return token >= 0 && token < size; });
  int64_t conversation = 0;
  if (known && !saved.pages.empty()) {
    const auto resumed = served_->engine->resume_conversation(saved.pages, salt_);
    if (!resumed && resumed.error().code != Code::invalid_argument) return resumed.error();
    if (resumed) conversation = *resumed;
  }
  const bool computed = conversation != 0;
  if (!computed) conversation = served_->engine->open_conversation();
  if (conversation == 0) return fail(Code::out_of_memory, "out of memory");
  served_->engine->close_conversation(std::exchange(conversation_, conversation));
  if (known) {
    tokens_.restore(std::move(saved.text), std::move(saved.tokens));
  } else {
    tokens_.restore({}, {});
  }
  const std::lock_guard lock(mutex_);
  messages_ = std::move(saved.messages);
  return computed;
}

SessionUse Session::use() const {
  const std::lock_guard lock(mutex_);
  SessionUse use = use_;
  use.messages = static_cast<int64_t>(messages_.size());
  for (const ChatMessage& message : messages_) use.history_bytes += static_cast<int64_t>(message.content.size());
  use.running = !calls_.empty();
  use.waiting = std::max<int64_t>(0, static_cast<int64_t>(calls_.size()) - 1);
  return use;
}

std::vector<ChatMessage> Session::history() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

}  // namespace linnet

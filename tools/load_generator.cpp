#include "tools/load_generator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "capi/context.h"
#include "gguf/base/json.h"
#include "tools/stopwatch.h"

namespace linnet {
namespace {

constexpr double kWarmUp = 0.2;
constexpr auto kGlance = std::chrono::milliseconds(20);  // between two looks at how far it is

// What people say; the number makes one conversation differ from another.
constexpr std::string_view kMessages[] = {
    "My name is Anna. I have {} books.",
    "Tell me a story about a brave little fox and {} birds.",
    "What is {} plus 3?",
    "What is my name?",
    "Tell me another story, with {} cats in it.",
};

// SplitMix64 (Steele, Lea, Flood 2014).
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  // [0, 1)
  double roll() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((x ^ (x >> 31)) >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

class LoadRun {
 public:
  LoadRun(Context& context, uint32_t model, const LoadPlan& plan) : context_(context), model_(model), plan_(plan) {}
  ~LoadRun() { join(); }

  Status run(const std::function<bool(double share)>& progress);
  LoadResult result();

 private:
  void session(int64_t index);
  Status converse(uint32_t id, int64_t turn, Dice& dice);
  Result<Completion> cancelled(uint32_t id, const GenerateInput& input, Dice& dice);
  void count(const Result<Completion>& result);
  bool take();  // whether another request is to be sent
  double share() const;
  void note_memory(os::MemoryUse& memory, int64_t& kv);
  void join();

  Context& context_;
  const uint32_t model_;
  const LoadPlan plan_;
  const Stopwatch watch_;
  std::atomic<bool> stop_ = false;
  std::atomic<double> usual_ms_ = 5;  // that a request takes: the last one's
  std::atomic<int64_t> sent_ = 0, ended_ = 0, alive_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // of what follows
  bool warm_ = false;
  double warm_at_ = 0;
  LoadResult result_;
  std::vector<double> queue_, first_token_, per_token_, total_;  // ms
};

bool LoadRun::take() {
  if (stop_) return false;
  if (plan_.requests == 0) return watch_.seconds() < plan_.seconds;
  return sent_++ < plan_.requests;
}

double LoadRun::share() const {
  if (plan_.requests == 0) return std::min(1.0, watch_.seconds() / plan_.seconds);
  return std::min(1.0, static_cast<double>(ended_) / static_cast<double>(plan_.requests));
}

void LoadRun::count(const Result<Completion>& answer) {
  const std::lock_guard lock(mutex_);
  ++ended_;
  ++result_.requests;
  if (answer && answer->finish_reason != FinishReason::cancelled)
    usual_ms_ = answer->timings.queue_ms + answer->timings.prefill_ms + answer->timings.decode_ms;
  const bool cancelled =
      answer ? answer->finish_reason == FinishReason::cancelled : answer.error().code == Code::cancelled;
  result_.cancelled += cancelled;
  if (!answer && !cancelled) ++result_.errors[std::string(code_name(answer.error().code))];
  if (!answer || !warm_) return;
  result_.prompt_tokens += answer->prompt_tokens;
  result_.cached_tokens += answer->cached_tokens;
  result_.completion_tokens += answer->completion_tokens;
  if (cancelled) return;
  ++result_.measured;
  const Timings& t = answer->timings;
  queue_.push_back(t.queue_ms);
  if (answer->completion_tokens > 0) first_token_.push_back(t.ttft_ms);
  if (answer->completion_tokens > 1)
    per_token_.push_back(t.decode_ms / static_cast<double>(answer->completion_tokens - 1));
  total_.push_back(t.queue_ms + t.prefill_ms + t.decode_ms);
}

// A request that somebody gives up after a moment, wherever it is by then.
Result<Completion> LoadRun::cancelled(uint32_t id, const GenerateInput& input, Dice& dice) {
  LINNET_TRY(const uint32_t stream, context_.start_stream(id, input));
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(usual_ms_ * dice.roll()));
  LINNET_TRY(const std::shared_ptr<Stream> taken, context_.stream(stream, true));
  return taken->finish();
}

Status LoadRun::converse(uint32_t id, int64_t turn, Dice& dice) {
  if (turn > 0 && turn % plan_.turns == 0) LINNET_CHECK(context_.reset_session(id));
  const auto which =
      static_cast<size_t>(turn % plan_.turns + static_cast<int64_t>(3 * dice.roll())) % std::size(kMessages);
  const std::string text = fmt::format(fmt::runtime(kMessages[which]), static_cast<int>(90 * dice.roll()) + 1);
  const GenerateInput input{.text = text};
  const bool gives_up = dice.roll() < plan_.cancel;
  LINNET_TRY(const Completion answer, gives_up ? cancelled(id, input, dice) : context_.generate(id, input));
  count(answer);
  return {};
}

void LoadRun::session(int64_t index) {
  Dice dice(plan_.seed + static_cast<uint64_t>(index) * 0xd1b54a32d192ed03u);
  const auto id = context_.open_session(model_, fmt::format("load-{}", index), {});
  for (int64_t turn = 0; take(); ++turn) {
    const Status sent = id ? converse(*id, turn, dice) : Status(id.error());
    if (sent) continue;
    count(sent.error());
    std::this_thread::sleep_for(kGlance);  // who is refused does not knock again at once
  }
}

void LoadRun::note_memory(os::MemoryUse& memory, int64_t& kv) {
  if (const auto now = os::memory_use()) memory = *now;
  if (const auto served = context_.served(model_)) kv = (*served)->engine->stats().kv_bytes;
}

Status LoadRun::run(const std::function<bool(double share)>& progress) {
  try {
    for (int64_t i = 0; i < plan_.sessions; ++i) {
      ++alive_;
      threads_.emplace_back([this, i] {
        try {
          session(i);
        } catch (const std::bad_alloc&) { count(Error{Code::out_of_memory, {}}); }
        --alive_;
      });
    }
  } catch (const std::system_error& e) {
    return fail(Code::thread_start, "thread {} of {} could not be started: {}; use fewer sessions", threads_.size() + 1,
                plan_.sessions, e.what());
  }
  while (alive_ > 0) {
    std::this_thread::sleep_for(kGlance);
    if (!progress(share())) return fail(Code::cancelled, "the load test was interrupted");
    if (warm_ || share() < kWarmUp) continue;
    note_memory(result_.memory_start, result_.kv_start);
    const std::lock_guard lock(mutex_);
    warm_ = true;
    warm_at_ = watch_.seconds();
  }
  join();
  result_.seconds = warm_ ? watch_.seconds() - warm_at_ : 0;
  note_memory(result_.memory_end, result_.kv_end);
  if (const auto served = context_.served(model_)) {
    const EngineStats stats = (*served)->engine->stats();
    result_.preemptions = stats.preemptions;
    result_.displaced = stats.displaced;
  }
  return {};
}

void LoadRun::join() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

LoadResult LoadRun::result() {
  result_.sessions = plan_.sessions;
  result_.queue_ms = Quantiles::of(std::move(queue_));
  result_.first_token_ms = Quantiles::of(std::move(first_token_));
  result_.per_token_ms = Quantiles::of(std::move(per_token_));
  result_.total_ms = Quantiles::of(std::move(total_));
  return std::move(result_);
}

}  // namespace

Quantiles Quantiles::of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<size_t>(rank, 1) - 1];
  };
  return {at(0.5), at(0.9), at(0.99), values.back()};
}

Result<LoadResult> run_load(const std::string& model, const Options& options, const LoadPlan& plan,
                            const std::function<bool(double share)>& progress) {
  ContextOptions given{.fallback = options};
  // Who wants to see refusals says so with the thresholds.
  given.fallback.max_sessions = std::max(options.max_sessions, plan.sessions);
  given.fallback.queue_size = std::max(options.queue_size, plan.sessions);
  LINNET_TRY(const std::unique_ptr<Context> context, Context::create({}, given));
  Result<LoadResult> result = [&]() -> Result<LoadResult> {
    LINNET_TRY(const uint32_t id, context->load(model, {}));
    LoadRun run(*context, id, plan);
    const Status done = run.run(progress);
    if (!done) {
      context->close();  // so that nobody has to be waited for
      return done.error();
    }
    return run.result();
  }();
  context->close();
  return result;
}

}  // namespace linnet

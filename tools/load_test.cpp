// linnet load-test: how a runtime does with many sessions at once.
#include <algorithm>
#include <cstdio>

#include "gguf/base/json.h"
#include "tools/commands.h"
#include "tools/load_generator.h"
#include "tools/load_page.h"

namespace linnet {
namespace {

class LoadTest : public Command {
 public:
  LoadTest() {
    options_.max_tokens = 64;
    options_.log_level = "none";  // a line for every request is not what the terminal is for
    options_.default_task_timeout_ms = 600000;
  }
  const char* name() const override { return "load-test"; }
  const char* summary() const override { return "measure latency, throughput and memory with many sessions at once"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("--sessions", sessions_, "sessions at once, each a thread; several values separated by commas");
    args.option("--turns", plan_.turns, "messages of a conversation; then the session begins a new one");
    args.option("--cancel", plan_.cancel, "share of the requests that are cancelled under way, 0 to 1");
    args.option("--seconds", plan_.seconds, "time for each number of sessions; its first fifth warms up");
    args.option("--requests", plan_.requests, "requests for each number of sessions, instead of a time; 0: by time");
    args.option("--svg", svg_, "write a picture of the figures to this file");
    args.option("--html", html_, "write picture and table to this file");
    add_options(args, {OptionGroup::model, OptionGroup::memory, OptionGroup::backend, OptionGroup::stopping,
                       OptionGroup::sampling});
    add_json(args, "print one JSON object");
    args.footer(
        "Every number of sessions gets a runtime of its own. max_concurrent (--config '{\"max_concurrent\":32}') says "
        "how "
        "many requests are computed together; the others wait. max_sessions and queue_size are at least the number of "
        "sessions. By default answers have at most 64 tokens, and nobody waits more than ten minutes in the queue.");
  }

  Result<int> run() override;

 private:
  Status check() const;
  Result<LoadResult> measure(const std::string& path, const Options& options, int64_t sessions) const;
  void print_row(const LoadResult& r) const;
  std::string json_text(const std::string& path, std::span<const LoadResult> results) const;

  LoadPlan plan_;
  std::vector<int64_t> sessions_ = {1, 8, 32, 128};
  std::string svg_, html_;
};

Status LoadTest::check() const {
  if (std::any_of(sessions_.begin(), sessions_.end(), [](int64_t s) { return s < 1 || s > 4096; }))
    return fail(Code::option_range, "--sessions has a value outside 1 to 4096");
  if (plan_.turns < 1) return fail(Code::option_range, "--turns is {}, expected at least 1", plan_.turns);
  if (!(plan_.cancel >= 0 && plan_.cancel <= 1))
    return fail(Code::option_range, "--cancel is {}, expected a share from 0 to 1", plan_.cancel);
  if (plan_.requests < 0 || !(plan_.seconds > 0 && plan_.seconds <= 1e6))
    return fail(Code::option_range, "--requests must be at least 0 and --seconds above 0, at most 1000000");
  return {};
}

Result<LoadResult> LoadTest::measure(const std::string& path, const Options& options, int64_t sessions) const {
  LoadPlan plan = plan_;
  plan.sessions = sessions;
  plan.seed = options.seed < 0 ? 1 : static_cast<uint64_t>(options.seed);
  Progress progress(fmt::format("load test, {} sessions", sessions));
  return run_load(path, options, plan, [&](double share) {
    progress.update(share);
    return !interrupted();
  });
}

Result<int> LoadTest::run() {
  LINNET_CHECK(check());
  LINNET_TRY(const std::string path, model_path());
  LINNET_TRY(const Options options, filled_options());
  std::vector<LoadResult> results;
  if (!json_)
    fmt::print("{:>8} {:>8} {:>9} {:>6} {:>9}  {:>24}  {:>24}  {:>21}  {:>17}\n", "sessions", "requests", "cancelled",
               "errors", "tokens/s", "queue p50/p90/p99 ms", "first token ms", "per token ms", "resident MiB");
  for (const int64_t sessions : sessions_) {
    LINNET_TRY(LoadResult result, measure(path, options, sessions));
    results.push_back(std::move(result));
    if (!json_) print_row(results.back());
  }
  if (json_) LINNET_CHECK(write_stdout(json_text(path, results)));
  if (!svg_.empty()) LINNET_CHECK(write_file(svg_, load_picture(results)));
  if (!html_.empty()) LINNET_CHECK(write_file(html_, load_page(results, "Load test of " + path)));
  return kDone;
}

void LoadTest::print_row(const LoadResult& r) const {
  int64_t errors = 0;
  for (const auto& [code, n] : r.errors) errors += n;
  const auto three = [](const Quantiles& q) { return fmt::format("{:.1f} {:.1f} {:.1f}", q.p50, q.p90, q.p99); };
  const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  fmt::print("{:>8} {:>8} {:>9} {:>6} {:>9.1f}  {:>24}  {:>24}  {:>21}  {:>8.1f} {:>8.1f}\n", r.sessions, r.requests,
             r.cancelled, errors, r.tokens_per_second(), three(r.queue_ms), three(r.first_token_ms),
             three(r.per_token_ms), mib(r.memory_start.resident), mib(r.memory_end.resident));
  for (const auto& [code, n] : r.errors) fmt::print("         {} times {}\n", n, code);
  std::fflush(stdout);
}

std::string LoadTest::json_text(const std::string& path, std::span<const LoadResult> results) const {
  JsonWriter w;
  w.begin_object().member("model", path).member("turns", plan_.turns).member("cancel", plan_.cancel);
  w.member("max_tokens", options_.max_tokens).member("max_concurrent", options_.max_concurrent);
  w.key("levels").begin_array();
  for (const LoadResult& r : results) {
    w.begin_object().member("sessions", r.sessions).member("requests", r.requests).member("cancelled", r.cancelled);
    w.key("errors").begin_object();
    for (const auto& [code, n] : r.errors) w.member(code, n);
    w.end_object().member("measured", r.measured).member("seconds", r.seconds);
    w.member("prompt_tokens", r.prompt_tokens).member("cached_tokens", r.cached_tokens);
    w.member("completion_tokens", r.completion_tokens).member("tokens_per_second", r.tokens_per_second());
    w.member("preemptions", r.preemptions).member("displaced", r.displaced);
    const auto quantiles = [&](const char* key, const Quantiles& q) {
      w.key(key).begin_object().member("p50", q.p50).member("p90", q.p90).member("p99", q.p99);
      w.member("max", q.most).end_object();
    };
    quantiles("queue_ms", r.queue_ms);
    quantiles("first_token_ms", r.first_token_ms);
    quantiles("per_token_ms", r.per_token_ms);
    quantiles("total_ms", r.total_ms);
    const auto memory = [&](const char* key, const os::MemoryUse& use, int64_t kv) {
      w.key(key).begin_object().member("resident_bytes", use.resident).member("anonymous_bytes", use.anonymous);
      w.member("kv_bytes", kv).end_object();
    };
    memory("memory_start", r.memory_start, r.kv_start);
    memory("memory_end", r.memory_end, r.kv_end);
    w.end_object();
  }
  return w.end_array().end_object().text() + "\n";
}

}  // namespace

std::unique_ptr<Command> make_load_test() { return std::make_unique<LoadTest>(); }

}  // namespace linnet

// linnet bench: prefill and decode speed of a model, as shares of what the machine can do.
//
// The forward pass is driven directly, without sampling: prefill is one sequence in steps of the batch size, decode is
// one row for each of `parallel` sequences a step. Before each row one untimed step runs.
#include <algorithm>
#include <cstdio>

#include "gguf/base/json.h"
#include "kernels/cpu/pool.h"
#include "runtime/forward.h"
#include "runtime/pages.h"
#include "runtime/sequence.h"
#include "tools/commands.h"
#include "tools/machine_bound.h"
#include "tools/stopwatch.h"

namespace linnet {
namespace {

struct Row {
  const char* kind;
  int64_t n, parallel;
  std::vector<double> tokens_per_second;
  double share;  // of the read bandwidth (decode of one sequence) or the int8 peak (else)
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Feeds sequences to the forward pass without an engine.
class Driver {
 public:
  static Result<std::unique_ptr<Driver>> create(const Model& model, const ForwardOptions& options, int64_t tokens) {
    auto d = std::make_unique<Driver>(model, tokens);
    LINNET_TRY(d->forward, Forward::create(model, options));
    return d;
  }

  Driver(const Model& m, int64_t tokens) : model(m), pool(m.groups(), tokens / kPageTokens + 1, 0) {}

  // One step: `count` tokens for each of the sequences; logits of each one's last row.
  Status step(std::span<Sequence> sequences, int64_t count) {
    std::vector<BatchRow> rows;
    std::vector<RowPlace> places(sequences.size() * static_cast<size_t>(count) * model.groups().size());
    RowPlace* place = places.data();
    for (Sequence& s : sequences) {
      const int64_t first = s.size();
      std::vector<int32_t> tokens;
      for (int64_t i = 0; i < count; ++i)
        tokens.push_back(static_cast<int32_t>((first + i) * 7919 % model.facts.vocab));
      LINNET_CHECK(s.append(tokens));
      for (int64_t i = 0; i < count; ++i) {
        BatchRow row{.position = {first + i},
                     .token = tokens[static_cast<size_t>(i)],
                     .wants_logits = i + 1 == count,
                     .places = place};
        for (size_t g = 0; g < model.groups().size(); ++g) *place++ = s.place(static_cast<int32_t>(g), first + i);
        rows.push_back(row);
      }
    }
    logits.resize(sequences.size() * static_cast<size_t>(model.facts.vocab));
    LINNET_CHECK(forward->run(rows, logits.data()));
    for (Sequence& s : sequences) s.mark_computed(s.size());
    return {};
  }

  Status prefill(Sequence& sequence, int64_t tokens, int64_t batch) {
    for (int64_t done = 0; done < tokens; done += batch)
      LINNET_CHECK(step({&sequence, 1}, std::min(batch, tokens - done)));
    return {};
  }

  const Model& model;
  PagePool pool;
  std::unique_ptr<Forward> forward;
  std::vector<float> logits;
};

class Bench : public Command {
 public:
  const char* name() const override { return "bench"; }
  const char* summary() const override { return "measure prefill and decode speed"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("-p,--prompt-tokens", prompt_tokens_, "prompt tokens of a prefill run; 0 leaves it out");
    args.option("-n,--new-tokens", new_tokens_, "tokens of a decode run; 0 leaves it out");
    args.option("-r,--repetitions", repetitions_, "runs of each kind; the median is reported");
    args.option("--parallel", parallel_, "sequences decoded together; several values separated by commas");
    add_options(args, {OptionGroup::model});
    add_json(args, "print one JSON object");
  }

  Result<int> run() override;

 private:
  Status measure_prefill(Driver& driver, std::vector<Row>& rows) const;
  Status measure_decode(Driver& driver, int64_t parallel, std::vector<Row>& rows) const;
  void print(const Driver& driver, const std::vector<Row>& rows, double read_gbs, double int8_gops) const;

  int64_t prompt_tokens_ = 512, new_tokens_ = 64, repetitions_ = 3;
  std::vector<int64_t> parallel_ = {1};
};

Status Bench::measure_prefill(Driver& driver, std::vector<Row>& rows) const {
  Row row{"prefill", prompt_tokens_, 1, {}, 0};
  Progress progress("measuring prefill");
  for (int64_t i = -1; i < repetitions_ && !interrupted(); ++i) {
    Sequence sequence(driver.pool, 0, false);
    const Stopwatch watch;
    LINNET_CHECK(driver.prefill(sequence, prompt_tokens_, options_.batch_size));
    if (i >= 0) row.tokens_per_second.push_back(static_cast<double>(prompt_tokens_) / watch.seconds());
    progress.update(static_cast<double>(i + 2) / static_cast<double>(repetitions_ + 1));
  }
  rows.push_back(std::move(row));
  return {};
}

Status Bench::measure_decode(Driver& driver, int64_t parallel, std::vector<Row>& rows) const {
  Row row{"decode", new_tokens_, parallel, {}, 0};
  Progress progress("measuring decode");
  for (int64_t i = 0; i < repetitions_ && !interrupted(); ++i) {
    std::vector<Sequence> sequences;
    for (int64_t s = 0; s < parallel; ++s) sequences.emplace_back(driver.pool, 0, false);
    LINNET_CHECK(driver.step(sequences, 1));
    const Stopwatch watch;
    for (int64_t t = 0; t < new_tokens_; ++t) LINNET_CHECK(driver.step(sequences, 1));
    row.tokens_per_second.push_back(static_cast<double>(new_tokens_ * parallel) / watch.seconds());
    progress.update(static_cast<double>(i + 1) / static_cast<double>(repetitions_));
  }
  rows.push_back(std::move(row));
  return {};
}

Result<int> Bench::run() {
  if (prompt_tokens_ < 0 || new_tokens_ < 0 || repetitions_ < 1 ||
      std::any_of(parallel_.begin(), parallel_.end(), [](int64_t p) { return p < 1 || p > 1024; }))
    return fail(Code::option_range, "-p and -n must be at least 0, -r at least 1 and --parallel 1 to 1024");
  LINNET_TRY(const auto model, load_model());
  const int64_t most = *std::max_element(parallel_.begin(), parallel_.end());
  ForwardOptions options = engine_options(options_).forward;
  options.max_rows = std::max(options_.batch_size, most);
  options.max_context = std::max(prompt_tokens_, new_tokens_ + 1);
  const int64_t pages =
      std::max((prompt_tokens_ + kPageTokens) / kPageTokens, most * ((new_tokens_ + 1 + kPageTokens) / kPageTokens));
  LINNET_TRY(const auto driver, Driver::create(*model, options, pages * kPageTokens));
  const double read_gbs = read_bandwidth(*model, driver->forward->threads());
  const double int8_gops = int8_peak(driver->forward->kernels(), driver->forward->threads());
  std::vector<Row> rows;
  if (prompt_tokens_ > 0) LINNET_CHECK(measure_prefill(*driver, rows));
  if (new_tokens_ > 0)
    for (const int64_t parallel : parallel_) LINNET_CHECK(measure_decode(*driver, parallel, rows));
  if (interrupted()) return kInterrupted;
  const double bytes = static_cast<double>(model->bytes_per_token()),
               operations = 2 * static_cast<double>(model->multiplications_per_token());
  for (Row& row : rows) {
    const double speed = median(row.tokens_per_second);
    const bool memory_bound = row.parallel == 1 && std::string_view(row.kind) == "decode";
    row.share = memory_bound ? speed * bytes / 1e9 / read_gbs : speed * operations / 1e9 / int8_gops;
  }
  print(*driver, rows, read_gbs, int8_gops);
  return kDone;
}

void Bench::print(const Driver& driver, const std::vector<Row>& rows, double read_gbs, double int8_gops) const {
  const Forward& f = *driver.forward;
  const uint64_t bytes = driver.model.bytes_per_token();
  if (!json_) {
    fmt::print("backend {}, {} threads; reads {:.1f} GB/s, {:.0f} int8 GOP/s; {:.1f} MB of weights a token\n",
               f.kernels().name, f.threads(), read_gbs, int8_gops, static_cast<double>(bytes) / 1e6);
    for (const Row& r : rows)
      fmt::print("{:8} n {:5} x {:3}  {:9.2f} tokens/s (median of {}, {:.2f} to {:.2f})  {:5.1f} % of {}\n", r.kind,
                 r.n, r.parallel, median(r.tokens_per_second), r.tokens_per_second.size(),
                 *std::min_element(r.tokens_per_second.begin(), r.tokens_per_second.end()),
                 *std::max_element(r.tokens_per_second.begin(), r.tokens_per_second.end()), 100 * r.share,
                 r.parallel == 1 && std::string_view(r.kind) == "decode" ? "the read bandwidth" : "the int8 peak");
    return;
  }
  JsonWriter w;
  w.begin_object()
      .key("machine")
      .begin_object()
      .member("backend", f.kernels().name)
      .member("threads", f.threads())
      .end_object();
  w.key("bound")
      .begin_object()
      .member("read_gbs", read_gbs)
      .member("int8_gops", int8_gops)
      .end_object()
      .key("rows")
      .begin_array();
  for (const Row& r : rows) {
    w.begin_object()
        .member("kind", r.kind)
        .member("n", r.n)
        .member("parallel", r.parallel)
        .member("threads", f.threads());
    w.key("tok_s").begin_object().member("median", median(r.tokens_per_second));
    w.member("min", *std::min_element(r.tokens_per_second.begin(), r.tokens_per_second.end()));
    w.member("max", *std::max_element(r.tokens_per_second.begin(), r.tokens_per_second.end())).end_object();
    w.member("bytes_per_token", bytes).member("share", r.share).end_object();
  }
  w.end_array().end_object();
  fmt::print("{}\n", w.text());
}

}  // namespace

std::unique_ptr<Command> make_bench() { return std::make_unique<Bench>(); }

}  // namespace linnet

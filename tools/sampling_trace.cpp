#include "tools/sampling_trace.h"

#include <algorithm>
#include <limits>

#include "gguf/base/json.h"
#include "gguf/base/math.h"

namespace linnet {
namespace {

// The candidates after one step, in the order of ids.
struct Distribution {
  std::vector<Candidate> list;
  double max = 0, total = 0;

  explicit Distribution(const Candidates& c) : list(c.copy()), max(static_cast<double>(c.max())) {
    for (const Candidate& candidate : list) total += weight(candidate);
  }
  double weight(const Candidate& c) const { return math::exp(static_cast<double>(c.logit) - max); }
  double p(const Candidate& c) const { return weight(c) / total; }
  // Null where the token is no candidate.
  const Candidate* find(int32_t id) const {
    const auto at =
        std::lower_bound(list.begin(), list.end(), id, [](const Candidate& c, int32_t i) { return c.id < i; });
    return at != list.end() && at->id == id ? &*at : nullptr;
  }
  double p_of(int32_t id) const {
    const Candidate* c = find(id);
    return c ? p(*c) : 0;
  }
  // The share of its probability that is with the candidates of `kept`, which are some of its own.
  double mass(const Distribution& kept) const {
    if (kept.list.size() == list.size()) return 1;
    double sum = 0;
    auto at = list.begin();
    for (const Candidate& c : kept.list) {
      while (at != list.end() && at->id < c.id) ++at;
      if (at != list.end() && at->id == c.id) sum += weight(*at);
    }
    return sum / total;
  }
};

void add_token(PositionTrace& trace, int32_t id, const std::vector<Distribution>& after) {
  TracedToken token{id, after.front().p_of(id), after.back().p_of(id), -1};
  for (size_t i = 0; i < after.size() && token.removed_by < 0; ++i)
    if (!after[i].find(id)) token.removed_by = static_cast<int32_t>(i);
  trace.top.push_back(token);
}

void add_tokens(PositionTrace& trace, size_t top, const std::vector<Distribution>& after) {
  std::vector<Candidate> best = after.front().list;
  const size_t count = std::min(top, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), best.end(), better);
  for (size_t i = 0; i < count; ++i) add_token(trace, best[i].id, after);
  for (const int32_t id : {trace.token, trace.picked}) {
    const bool known =
        std::any_of(trace.top.begin(), trace.top.end(), [&](const TracedToken& t) { return t.id == id; });
    if (id >= 0 && !known) add_token(trace, id, after);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string number(double value) { return fmt::format("{:.9g}", value); }

}  // namespace

Result<PositionTrace> trace_position(Chain& chain, std::span<const float> logits, uint64_t position, int32_t token,
                                     size_t top) {
  PositionTrace trace{.position = static_cast<int64_t>(position), .token = token};
  std::vector<float> row(logits.begin(), logits.end());
  std::vector<Distribution> after;
  const auto see = [&](std::string_view step, const Candidates& c) {
    after.emplace_back(c);
    const Distribution& before = after[after.size() < 2 ? 0 : after.size() - 2];
    const double entropy = c.entropy();
    trace.steps.push_back({.step = std::string(step),
                           .kept = c.count(),
                           .entropy_before = trace.steps.empty() ? entropy : trace.steps.back().entropy,
                           .entropy = entropy,
                           .mass = before.mass(after.back())});
  };
  LINNET_TRY(const int32_t picked, chain.sample(row.data(), position, see));
  if (chain.selects()) trace.picked = picked;
  if (trace.token < 0) trace.token = trace.picked;
  for (size_t i = 0; i < after.size(); ++i) trace.steps[i].p = after[i].p_of(trace.token);
  add_tokens(trace, top, after);
  return trace;
}

Result<RecordingTrace> trace_recording(const Recording& recording, Chain chain, size_t top,
                                       const std::function<void(double)>& seen) {
  for (const int32_t token : recording.prompt) chain.accept_prompt(token);
  RecordingTrace trace{.chain = chain.describe(), .seed = chain.seed()};
  for (size_t i = 0; i < recording.tokens.size(); ++i) {
    auto at = trace_position(chain, recording.row(i), recording.prompt.size() + i, recording.tokens[i], top);
    if (!at && at.error().code == Code::grammar_dead_end) {
      trace.ended = fmt::format("position {}: {}", recording.prompt.size() + i, at.error().message);
      break;
    }
    if (!at) return at.error();
    trace.positions.push_back(std::move(*at));
    chain.accept(recording.tokens[i]);
    if (seen) seen(static_cast<double>(i + 1) / static_cast<double>(recording.tokens.size()));
  }
  return trace;
}

std::string steps_table(const PositionTrace& trace) {
  std::string out = fmt::format("{:<14} {:>8} {:>10} {:>9} {:>9}\n", "step", "kept", "mass kept", "entropy", "p");
  for (const StepTrace& s : trace.steps)
    out += fmt::format("{:<14} {:>8} {:>10.6f} {:>9.4f} {:>9.6f}\n", s.step, s.kept, s.mass, s.entropy, s.p);
  return out;
}

std::string steps_json(const PositionTrace& trace) {
  JsonWriter w;
  w.begin_array();
  for (const StepTrace& s : trace.steps) {
    w.begin_object().member("step", s.step).member("kept", s.kept);
    w.key("entropy_before").raw(number(s.entropy_before)).key("entropy").raw(number(s.entropy));
    w.key("mass").raw(number(s.mass)).key("p").raw(number(s.p)).end_object();
  }
  return w.end_array().text();
}

std::vector<StepSummary> summarize(const RecordingTrace& trace) {
  std::vector<StepSummary> rows;
  if (trace.positions.empty()) return rows;
  const auto count = static_cast<double>(trace.positions.size());
  for (size_t i = 0; i < trace.positions.front().steps.size(); ++i) {
    StepSummary row{trace.positions.front().steps[i].step, 0, 0, 0, 0};
    std::vector<double> kept;
    for (const PositionTrace& at : trace.positions) {
      const StepTrace& s = at.steps[i];
      kept.push_back(static_cast<double>(s.kept));
      row.mass += s.mass / count;
      row.entropy += s.entropy / count;
      row.p += s.p / count;
    }
    row.kept = median(std::move(kept));
    rows.push_back(std::move(row));
  }
  return rows;
}

int64_t agreements(const RecordingTrace& trace) {
  return std::count_if(trace.positions.begin(), trace.positions.end(),
                       [](const PositionTrace& at) { return at.picked == at.token; });
}

std::string trace_table(const RecordingTrace& trace) {
  std::string out = fmt::format("{:<14} {:>14} {:>16} {:>14} {:>18}\n", "step", "kept (median)", "mass kept (mean)",
                                "entropy (mean)", "p of record (mean)");
  for (const StepSummary& s : summarize(trace))
    out += fmt::format("{:<14} {:>14} {:>16.6f} {:>14.4f} {:>18.6f}\n", s.step, s.kept, s.mass, s.entropy, s.p);
  out += fmt::format("the chain picks the recorded token at {} of {} positions (seed {})\n", agreements(trace),
                     trace.positions.size(), trace.seed);
  return trace.ended.empty() ? out : out + "ended before the recording does: " + trace.ended + "\n";
}

std::string trace_json(const RecordingTrace& trace, const TokenText& text) {
  JsonWriter w;
  w.begin_object().key("chain").begin_array();
  for (const std::string& step : trace.chain) w.value(step);
  w.end_array().member("seed", trace.seed).key("positions").begin_array();
  for (const PositionTrace& at : trace.positions) {
    w.begin_object().member("position", at.position).member("token", at.token).member("text", text(at.token));
    w.key("picked");
    at.picked < 0 ? w.value(nullptr) : w.value(at.picked);
    w.key("steps").raw(steps_json(at)).key("top").begin_array();
    for (const TracedToken& t : at.top) {
      w.begin_object().member("id", t.id).member("text", text(t.id)).key("p").raw(number(t.p));
      w.key("removed_by");
      t.removed_by < 0 ? w.value(nullptr) : w.value(at.steps[static_cast<size_t>(t.removed_by)].step);
      w.key("p_left").raw(number(t.p_left)).end_object();
    }
    w.end_array().end_object();
  }
  w.end_array().key("ended");
  trace.ended.empty() ? w.value(nullptr) : w.value(trace.ended);
  return w.end_object().text();
}

}  // namespace linnet

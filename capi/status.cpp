// What Context::status() says: one source of numbers, as JSON and as Prometheus text (exposition format 0.0.4).
#include <algorithm>
#include <cmath>

#include "capi/context.h"
#include "gguf/base/json.h"
#include "gguf/base/os.h"

namespace linnet {
namespace {

double rounded(double ms) { return std::round(ms * 1000) / 1000; }

void write_histogram(JsonWriter& w, std::string_view name, const Histogram& h) {
  w.key(name).begin_object().member("count", h.count()).member("mean", rounded(h.count() ? h.sum() / h.count() : 0));
  w.member("p50", rounded(h.quantile(0.5))).member("p90", rounded(h.quantile(0.9)));
  w.member("p99", rounded(h.quantile(0.99))).end_object();
}

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// Lines of Prometheus text. A name's TYPE is written once, before its first value.
class Prometheus {
 public:
  void value(std::string_view name, std::string_view type, std::string_view help, double v,
             std::string_view labels = {}) {
    head(name, type, help);
    text_ += fmt::format("{}{} {}\n", name, labels.empty() ? "" : fmt::format("{{{}}}", labels), v);
  }
  void histogram(std::string_view name, std::string_view help, const Histogram& h) {
    head(name, "histogram", help);
    int64_t below = 0;
    for (size_t i = 0; i < h.bounds().size(); ++i) {
      below += h.buckets()[i];
      text_ += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, h.bounds()[i] / 1000, below);
    }
    text_ +=
        fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, h.count(), h.sum() / 1000);
  }
  std::string text() && { return std::move(text_); }

 private:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    if (name == last_) return;
    last_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  std::string text_, last_;
};

}  // namespace

// A consistent view of everything, taken under the mutex; the numbers of engines are asked for afterwards, since an
// engine may be busy.
struct Context::Snapshot {
  struct OfModel {
    uint32_t id;
    std::string path;
    std::shared_ptr<ServedModel> served;
    double load_ms;
    MemoryPlan plan;
    bool leaving;
    EngineStats stats;
  };
  struct OfSession {
    uint32_t id, model;
    std::string name;
    int64_t idle_ms;
    std::shared_ptr<Session> session;
    SessionUse use;
  };
  std::vector<OfModel> models;
  std::vector<OfSession> sessions;
  SessionLimits limits;
  int64_t named = 0, anonymous = 0, evictions = 0;
  Metrics metrics;
  os::MemoryUse memory;
  uint64_t available = 0;
  int64_t budget_mb = 0;
  std::vector<std::string> hints;
};

Context::Snapshot Context::snapshot() {
  Snapshot s;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, m] : models_) s.models.push_back({id, m.path, m.served, m.load_ms, m.plan, m.leaving, {}});
    for (const auto& [id, open] : sessions_)
      s.sessions.push_back({id, table_.owner(id), table_.name(id), table_.idle_ms(id, now_ms()), open.session, {}});
    s.limits = table_.limits();
    s.named = table_.named();
    s.anonymous = table_.anonymous();
    s.evictions = table_.evictions();
    s.metrics = metrics_;
    s.budget_mb = budget_mb();
  }
  for (auto& m : s.models) m.stats = m.served->engine->stats();
  for (auto& session : s.sessions) session.use = session.session->use();
  if (const auto memory = os::memory_use()) s.memory = *memory;
  if (const auto available = os::available_memory()) s.available = *available;
  give_hints(s);
  return s;
}

// What to do about the numbers.
void Context::give_hints(Snapshot& s) const {
  const auto hint = [&]<class... Args>(fmt::format_string<Args...> text, Args&&... args) {
    s.hints.push_back(fmt::format(text, std::forward<Args>(args)...));
  };
  const Options& o = layers_.options();
  for (const auto& m : s.models) {
    if (m.stats.queued >= o.queue_warning())
      hint("model {}: {} requests wait, the queue refuses from {} on; raise max_concurrent, or send less", m.id,
           m.stats.queued, o.queue_reject());
    if (m.stats.preemptions > 0)
      hint("model {}: {} requests lost their pages to others; raise max_cache_tokens, or lower max_concurrent", m.id,
           m.stats.preemptions);
  }
  if (s.metrics.busy > 0)
    hint("{} requests were refused because a limit was reached; raise queue_size or max_sessions", s.metrics.busy);
  if (s.metrics.timeouts > 0)
    hint("{} requests missed a deadline; raise default_task_timeout_ms, or lower the load", s.metrics.timeouts);
  if (s.metrics.prompt_tokens > 4096 && share(s.metrics.cached_tokens, s.metrics.prompt_tokens) < 0.05)
    hint("only {:.1f} % of prompt tokens came from the cache; put what prompts share at their beginning",
         100 * share(s.metrics.cached_tokens, s.metrics.prompt_tokens));
  if (s.evictions > 0 && s.named >= s.limits.max_named)
    hint("sessions push each other out ({} so far); raise max_sessions", s.evictions);
}

void Context::write_queue(JsonWriter& w, const Snapshot& s) const {
  const Options& o = layers_.options();
  w.begin_object();
  int64_t running = 0, queued = 0;
  for (const auto& m : s.models) {
    running += m.stats.running;
    queued += m.stats.queued;
  }
  w.member("running", running).member("queued", queued).member("max_concurrent", o.max_concurrent);
  w.member("queue_size", o.queue_size).member("warning_threshold", o.queue_warning());
  w.member("reject_threshold", o.queue_reject()).member("nearly_full", queued >= o.queue_warning());
  w.member("priority_scheduling", o.priority_scheduling_enabled).member("fair_scheduling", o.fair_scheduling_enabled);
  w.member("requests", s.metrics.requests).member("rejected", s.metrics.busy).member("timeouts", s.metrics.timeouts);
  int64_t preemptions = 0, displaced = 0;
  for (const auto& m : s.models) {
    preemptions += m.stats.preemptions;
    displaced += m.stats.displaced;
  }
  w.member("displaced", displaced).member("preemptions", preemptions);
  write_histogram(w, "wait_ms", s.metrics.queue);
  w.end_object();
}

void Context::write_memory(JsonWriter& w, const Snapshot& s) const {
  uint64_t weights = 0;
  int64_t kv = 0, workspace = 0, history = 0;
  w.begin_object().member("resident_bytes", s.memory.resident).member("anonymous_bytes", s.memory.anonymous);
  w.member("peak_bytes", s.memory.peak).member("available_bytes", s.available);
  w.member("limit_mb", s.budget_mb);
  w.key("models").begin_array();
  for (const auto& m : s.models) {
    weights += m.served->model->weight_bytes();
    kv += m.stats.kv_bytes;
    workspace += m.stats.workspace_bytes;
    w.begin_object().member("model", m.id).member("weight_bytes", m.served->model->weight_bytes());
    w.member("kv_bytes", m.stats.kv_bytes).member("workspace_bytes", m.stats.workspace_bytes);
    w.member("pages_total", m.stats.pages_total).member("pages_used", m.stats.pages_used);
    w.member("pages_cached", m.stats.pages_cached).member("page_bytes", m.stats.page_bytes);
    w.member("batch_tokens", m.stats.batch_tokens).member("released_bytes", m.stats.released_bytes);
    w.member("shifts", m.stats.shifts).member("preemptions", m.stats.preemptions).end_object();
  }
  w.end_array();
  for (const auto& session : s.sessions) history += session.use.history_bytes;
  w.key("owners").begin_object().member("weights_mapped", weights).member("kv_pages", kv);
  w.member("workspaces", workspace).member("session_histories", history).end_object();
  w.member("prompt_tokens", s.metrics.prompt_tokens).member("cached_tokens", s.metrics.cached_tokens);
  w.member("cache_hit_rate", rounded(share(s.metrics.cached_tokens, s.metrics.prompt_tokens))).end_object();
}

void Context::write_sessions(JsonWriter& w, const Snapshot& s) const {
  w.begin_object().member("count", s.sessions.size()).member("named", s.named).member("anonymous", s.anonymous);
  w.member("max_sessions", s.limits.max_named).member("max_anonymous", s.limits.max_anonymous);
  w.member("idle_timeout_ms", s.limits.idle_ms).member("auto_cleanup", s.limits.auto_cleanup);
  w.member("evictions", s.evictions).key("sessions").begin_array();
  for (const auto& one : s.sessions) {
    const SessionUse& use = one.use;
    w.begin_object().member("session", one.id).member("model", one.model).member("name", one.name);
    w.member("running", use.running).member("waiting", use.waiting).member("idle_ms", one.idle_ms);
    w.member("requests", use.requests).member("messages", use.messages).member("history_bytes", use.history_bytes);
    w.member("prompt_tokens", use.prompt_tokens).member("cached_tokens", use.cached_tokens);
    w.member("completion_tokens", use.completion_tokens).member("discarded_tokens", use.discarded_tokens);
    w.member("cache_hit_rate", rounded(share(use.cached_tokens, use.prompt_tokens))).end_object();
  }
  w.end_array().end_object();
}

void Context::write_performance(JsonWriter& w, const Snapshot& s) const {
  const Metrics& m = s.metrics;
  w.begin_object().member("requests", m.requests).member("errors", m.errors);
  w.member("prompt_tokens", m.prompt_tokens).member("cached_tokens", m.cached_tokens);
  w.member("completion_tokens", m.completion_tokens).member("discarded_tokens", m.discarded_tokens);
  write_histogram(w, "queue_ms", m.queue);
  write_histogram(w, "first_token_ms", m.first_token);
  write_histogram(w, "per_token_ms", m.per_token);
  write_histogram(w, "total_ms", m.total);
  w.member("tokens_per_second", rounded(m.per_token.sum() > 0 ? 1000 * m.per_token.count() / m.per_token.sum() : 0));
  w.key("finish_reasons").begin_object();
  for (size_t i = 0; i < m.reasons.size(); ++i) {
    if (m.reasons[i] > 0) w.member(finish_reason_name(static_cast<FinishReason>(i)), m.reasons[i]);
  }
  w.end_object().key("hints").begin_array();
  for (const std::string& hint : s.hints) w.value(hint);
  w.end_array().end_object();
}

void Context::write_models(JsonWriter& w, const Snapshot& s) const {
  w.begin_object().member("count", s.models.size()).member("loaded", s.metrics.models_loaded);
  w.member("replaced", s.metrics.models_replaced).member("failed", s.metrics.loads_failed).key("models").begin_array();
  for (const auto& m : s.models) {
    const Model& model = *m.served->model;
    w.begin_object().member("model", m.id).member("path", m.path).member("architecture", model.facts.architecture);
    w.member("weight_bytes", model.weight_bytes()).member("vocabulary", model.tokenizer().size());
    w.member("context", m.plan.context).member("trained_context", model.context_for(0));
    w.member("threads", m.served->engine->forward().threads());
    w.member("backend", m.served->engine->forward().kernels().name);
    w.member("template", template_source_name(m.served->format.source())).member("load_ms", rounded(m.load_ms));
    w.member("leaving", m.leaving).member("running", m.stats.running).member("queued", m.stats.queued);
    w.member("steps", m.stats.steps).member("rows", m.stats.rows).member("rollbacks", m.stats.rollbacks).end_object();
  }
  w.end_array().end_object();
}

std::string Context::prometheus(const Snapshot& s) const {
  Prometheus p;
  const Metrics& m = s.metrics;
  const auto counter = [&](std::string_view name, std::string_view help, int64_t v) {
    p.value(name, "counter", help, static_cast<double>(v));
  };
  const auto gauge = [&](std::string_view name, std::string_view help, double v) { p.value(name, "gauge", help, v); };
  counter("linnet_requests_total", "Requests that came to an end.", m.requests);
  for (size_t i = 0; i < m.reasons.size(); ++i)
    p.value("linnet_finish_reasons_total", "counter", "Requests by what ended them.", static_cast<double>(m.reasons[i]),
            fmt::format("reason=\"{}\"", finish_reason_name(static_cast<FinishReason>(i))));
  counter("linnet_rejected_total", "Requests refused because a limit was reached.", m.busy);
  counter("linnet_timeouts_total", "Requests that missed a deadline.", m.timeouts);
  counter("linnet_prompt_tokens_total", "Tokens of prompts.", m.prompt_tokens);
  counter("linnet_cached_tokens_total", "Tokens of prompts that were not computed again.", m.cached_tokens);
  counter("linnet_completion_tokens_total", "Generated tokens.", m.completion_tokens);
  p.histogram("linnet_queue_seconds", "Time from submission until a request ran.", m.queue);
  p.histogram("linnet_first_token_seconds", "Time from submission to the first token.", m.first_token);
  p.histogram("linnet_per_token_seconds", "Time per token after the first.", m.per_token);
  const auto each = [&](std::string_view name, std::string_view help, auto value) {
    for (const auto& model : s.models)
      p.value(name, "gauge", help, static_cast<double>(value(model)), fmt::format("model=\"{}\"", model.id));
  };
  using M = Snapshot::OfModel;
  each("linnet_running_requests", "Requests that run.", [](const M& x) { return x.stats.running; });
  each("linnet_queued_requests", "Requests that wait.", [](const M& x) { return x.stats.queued; });
  each("linnet_kv_bytes", "Memory of the KV cache.", [](const M& x) { return x.stats.kv_bytes; });
  each("linnet_weight_bytes", "Bytes of weights, mapped from the file.",
       [](const M& x) { return x.served->model->weight_bytes(); });
  gauge("linnet_sessions", "Open sessions.", static_cast<double>(s.sessions.size()));
  gauge("linnet_models", "Loaded models.", static_cast<double>(s.models.size()));
  gauge("linnet_resident_bytes", "Memory of the process, mapped files included.",
        static_cast<double>(s.memory.resident));
  return std::move(p).text();
}

void Context::write_topic(JsonWriter& w, StatusTopic topic, const Snapshot& s) const {
  switch (topic) {
    case StatusTopic::queue:
      return write_queue(w, s);
    case StatusTopic::memory:
      return write_memory(w, s);
    case StatusTopic::sessions:
      return write_sessions(w, s);
    case StatusTopic::performance:
      return write_performance(w, s);
    default:
      return write_models(w, s);
  }
}

std::string Context::status(StatusTopic topic) {
  if (topic == StatusTopic::config) return config_json(layers_);
  const Snapshot s = snapshot();
  if (topic == StatusTopic::prometheus) return prometheus(s);
  JsonWriter w;
  if (topic != StatusTopic::all) {
    write_topic(w, topic, s);
    return w.text();
  }
  w.begin_object();
  const std::pair<const char*, StatusTopic> topics[] = {{"queue", StatusTopic::queue},
                                                        {"memory", StatusTopic::memory},
                                                        {"sessions", StatusTopic::sessions},
                                                        {"performance", StatusTopic::performance},
                                                        {"model", StatusTopic::model}};
  for (const auto& [name, one] : topics) {
    w.key(name);
    write_topic(w, one, s);
  }
  return w.end_object().text();
}

}  // namespace linnet

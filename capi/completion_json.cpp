#include "capi/completion_json.h"

#include <cmath>

#include "gguf/base/json.h"

namespace linnet {

namespace {

void write_scores(JsonWriter& w, std::string_view key, const RowScores& scores) {
  w.key(key).begin_object().member("logprob", scores.logprob).key("top").begin_array();
  for (const TokenScore& s : scores.top) w.begin_array().value(s.token).value(s.logprob).end_array();
  w.end_array().end_object();
}

}  // namespace

std::string completion_json(const Completion& c) {
  const Timings& t = c.timings;
  JsonWriter w;
  w.begin_object().member("text", c.text).key("tokens").begin_array();
  for (const int32_t token : c.tokens) w.value(token);
  w.end_array()
      .member("prompt_tokens", c.prompt_tokens)
      .member("cached_tokens", c.cached_tokens)
      .member("completion_tokens", c.completion_tokens)
      .member("discarded_tokens", c.discarded_tokens)
      .member("finish_reason", finish_reason_name(c.finish_reason))
      .member("matched", c.matched)
      .member("condition", c.condition)
      .member("seed", c.seed);
  w.key("chain").begin_array();
  for (const std::string& step : c.chain) w.value(step);
  w.end_array();
  if (!c.notes.empty()) {
    w.key("notes").begin_array();
    for (const std::string& note : c.notes) w.value(note);
    w.end_array();
  }
  if (!c.scores.empty()) {
    w.key("scores").begin_array();
    for (const GeneratedScores& s : c.scores) {
      w.begin_object();
      write_scores(w, "model", s.model);
      write_scores(w, "sampled", s.sampled);
      w.end_object();
    }
    w.end_array();
  }
  if (!c.prompt_scores.empty()) {
    w.key("prompt_scores").begin_array();
    for (const RowScores& s : c.prompt_scores) {
      w.begin_object();
      write_scores(w, "model", s);
      w.end_object();
    }
    w.end_array();
  }
  const auto time = [](double ms) { return std::round(ms * 1000) / 1000; };
  w.key("timings").begin_object();
  w.member("load_ms", time(t.load_ms)).member("queue_ms", time(t.queue_ms)).member("prefill_ms", time(t.prefill_ms));
  w.member("decode_ms", time(t.decode_ms)).member("ttft_ms", time(t.ttft_ms)).end_object();
  return w.end_object().text();
}

}  // namespace linnet

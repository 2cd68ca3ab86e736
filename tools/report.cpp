#include "tools/report.h"

#include <cstdio>

#include <fmt/ranges.h>

#include "gguf/base/json.h"
#include "gguf/base/os.h"
#include "tools/machine_bound.h"

namespace linnet {

std::string completion_json(const Completion& c) {
  const Timings& t = c.timings;
  return fmt::format(
      "{{\"text\":{},\"tokens\":[{}],\"prompt_tokens\":{},\"cached_tokens\":{},\"completion_tokens\":{},\"finish_"
      "reason\":\"{}\","
      "\"matched\":{},\"seed\":{},\"timings\":{{\"load_ms\":{:.3f},\"queue_ms\":{:.3f},\"prefill_ms\":{:.3f},\"decode_"
      "ms\":{:.3f},"
      "\"ttft_ms\":{:.3f}}}}}",
      json_quote(c.text), fmt::join(c.tokens, ","), c.prompt_tokens, c.cached_tokens, c.completion_tokens,
      finish_reason_name(c.finish_reason), json_quote(c.matched), c.seed, t.load_ms, t.queue_ms, t.prefill_ms,
      t.decode_ms, t.ttft_ms);
}

void print_statistics(const Completion& c, Engine& engine) {
  const Timings& t = c.timings;
  const double prefill =
      t.prefill_ms > 0 ? 1000.0 * static_cast<double>(c.prompt_tokens - c.cached_tokens) / t.prefill_ms : 0;
  // The first token comes out of the prompt's last row: decode steps are one fewer than tokens.
  const double decode = t.decode_ms > 0 && c.completion_tokens > 1
                            ? 1000.0 * static_cast<double>(c.completion_tokens - 1) / t.decode_ms
                            : 0;
  const double bytes = static_cast<double>(engine.model().bytes_per_token());
  const double bound = read_bandwidth(engine.model(), engine.forward().threads());
  fmt::print(
      stderr,
      "\n{} prompt tokens at {:.1f}/s, {} tokens at {:.1f}/s; loaded in {:.0f} ms, first token after {:.0f} ms\n",
      c.prompt_tokens, prefill, c.completion_tokens, decode, t.load_ms, t.ttft_ms);
  fmt::print(stderr, "decode reads {:.2f} MB a token: {:.1f} GB/s", bytes / 1e6, decode * bytes / 1e9);
  if (bound > 0)
    fmt::print(stderr, ", {:.0f} % of the {:.1f} GB/s this machine reads with {} threads",
               100 * decode * bytes / 1e9 / bound, bound, engine.forward().threads());
  fmt::print(stderr, " ({})\n", engine.forward().kernels().name);
  fmt::print(stderr, "finished: {}{}{}; seed {}\n", finish_reason_name(c.finish_reason), c.matched.empty() ? "" : " ",
             c.matched.empty() ? "" : json_quote(c.matched), c.seed);
}

}  // namespace linnet

#include "tools/report.h"

#include <cstdio>

#include "gguf/base/json.h"
#include "gguf/base/os.h"
#include "tools/machine_bound.h"

namespace linnet {

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
  const EngineStats stats = engine.stats();
  const GrammarCache::Numbers& grammars = stats.grammars;
  if (grammars.hits + grammars.misses > 0) {
    fmt::print(stderr, "grammars: {} compiled, {} from the cache, {:.1f} KB; {} masks ready before the logits\n",
               grammars.misses, grammars.hits, static_cast<double>(grammars.bytes) / 1e3, stats.masks_ahead);
  }
  if (stats.rollbacks > 0) fmt::print(stderr, "{} banned phrases were taken back\n", stats.rollbacks);
  for (const std::string& note : c.notes) fmt::print(stderr, "note: {}\n", note);
  fmt::print(stderr, "finished: {}{}{}{}; seed {}\n", finish_reason_name(c.finish_reason),
             c.matched.empty() ? "" : " " + json_quote(c.matched), c.condition.empty() ? "" : " by ", c.condition,
             c.seed);
}

}  // namespace linnet

#include "tools/likelihood.h"

#include <algorithm>
#include <cmath>

#include "tools/command.h"

namespace linnet {

void Likelihood::add(double nll) {
  ++count;
  sum += nll;
  squares += nll * nll;
}

double Likelihood::standard_error() const {
  if (count < 2) return 0;
  const auto n = static_cast<double>(count);
  return std::sqrt(std::max(0.0, squares / n - mean() * mean()) / (n - 1));
}

double Likelihood::perplexity() const { return std::exp(mean()); }

Result<Likelihood> score_text(Engine& engine, const Model& model, std::span<const int32_t> tokens,
                              const Windows& windows) {
  const Tokenizer& tokenizer = model.tokenizer();
  const bool bos = tokenizer.add_bos() && tokenizer.special().bos >= 0;
  const auto window = static_cast<size_t>(std::max<int64_t>(windows.context - bos, 1));
  if (windows.stride < 0 || windows.stride > static_cast<int64_t>(window))
    return fail(Code::option_range, "--stride is {}, expected 0 to {} (the tokens of a window)", windows.stride,
                window);
  const size_t step = windows.stride > 0 ? static_cast<size_t>(windows.stride) : window;
  Likelihood all;
  Progress progress("scoring");
  size_t scored = 0;  // tokens that an earlier window has dealt with
  for (size_t at = 0; scored < tokens.size() && !interrupted(); at += step) {
    const size_t end = std::min(at + window, tokens.size());
    std::vector<int32_t> part(tokens.begin() + static_cast<int64_t>(at), tokens.begin() + static_cast<int64_t>(end));
    if (bos) part.insert(part.begin(), tokenizer.special().bos);
    if (part.size() < 2) break;
    LINNET_TRY(const auto scores, engine.score(part));
    // scores[i] is of part[i + 1], that is of token at + i + 1 - bos.
    for (size_t i = 0; i < scores.size(); ++i)
      if (at + i + 1 - bos >= scored) all.add(-static_cast<double>(scores[i]));
    scored = end;
    progress.update(static_cast<double>(end) / static_cast<double>(tokens.size()));
  }
  if (all.count == 0 && !interrupted())
    return fail(Code::prompt_empty, "the text has {} tokens; at least two are needed", tokens.size());
  return all;
}

}  // namespace linnet

// Granite 3 and its mixtures of experts (IBM 2024), MiniCPM (arXiv 2404.06395): Llama with scales (muP) on embeddings,
// residuals, attention scores and logits.
#include <cmath>

#include "runtime/arch/arch.h"

namespace linnet {
namespace {

Status read_scales(const Keys& keys, Facts& f, double embedding, double residual, double logit_divisor) {
  LINNET_TRY(embedding, keys.number_or("embedding_scale", embedding, 1e-6, 1e6));
  LINNET_TRY(residual, keys.number_or("residual_scale", residual, 1e-6, 1e6));
  LINNET_TRY(logit_divisor, keys.number_or("logit_scale", logit_divisor, 1e-6, 1e6));
  f.embedding_scale = static_cast<float>(embedding);
  f.residual_scale = static_cast<float>(residual);
  f.logit_scale = static_cast<float>(1 / logit_divisor);
  return {};
}

}  // namespace

Result<Facts> granite_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  LINNET_CHECK(read_scales(keys, f, 1, 1, 1));
  return f;
}

Result<Facts> granitemoe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, granite_facts(keys));
  f.experts.normalize = true;
  return f;
}

Result<Facts> minicpm_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  const double layers = static_cast<double>(f.layers), dim = static_cast<double>(f.dim);
  LINNET_CHECK(read_scales(keys, f, 12, 1.4 / std::sqrt(layers), dim / 256));
  return f;
}

// MiniCPM 3: latent attention; its scales are no keys.
Result<Facts> minicpm3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_CHECK(read_latent(keys, f));
  const double layers = static_cast<double>(f.layers), dim = static_cast<double>(f.dim);
  f.embedding_scale = 12;
  f.residual_scale = static_cast<float>(1.4 / std::sqrt(layers));
  f.logit_scale = static_cast<float>(256 / dim);
  return f;
}

}  // namespace linnet

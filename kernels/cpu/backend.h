// The table of verbs for one vocabulary.
#pragma once

#include "kernels/cpu/attention.h"
#include "kernels/cpu/embed.h"
#include "kernels/cpu/experts.h"
#include "kernels/cpu/glu.h"
#include "kernels/cpu/latent.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/qkv.h"
#include "kernels/cpu/recurrent.h"
#include "kernels/cpu/scans.h"

namespace linnet {
namespace {

template <class S>
int64_t scratch_bytes(const ScratchNeed& need) {
  const int64_t products = round_up(need.n * need.rows * 4, 64) + 16 * 64;  // each product starts a line
  const int64_t matrix = products + need.threads * round_up(Matmul<S>::scratch_bytes(need.n, need.cols), 64);
  // Query heads lie in one output row, so that no head is longer than its share of it.
  const int64_t heads = need.heads > 0 ? need.heads : 1;
  const AttentionArea area = AttentionArea::plan(heads, need.rows / heads, need.v_dim);
  const int64_t segments = need.context / kSegmentTokens + 2;
  const int64_t split_rows = need.n < 4 * need.threads ? need.n : 4 * need.threads;
  const int64_t states = state_bytes(1, heads, segments, need.v_dim);
  const int64_t room = int64_t{64} << 20;  // for more rows only as far as this goes: they need the split less
  const int64_t kept = states * split_rows < room ? states * split_rows : room;
  const int64_t attention_bytes = need.threads * area.bytes() + kept;
  const int64_t rotate_bytes = need.threads * round_up(need.rows * 4, 64);
  const int64_t routing = int64_t{3} * kMostExperts * 4;
  int64_t most = matrix > attention_bytes ? matrix : attention_bytes;
  most = most > rotate_bytes ? most : rotate_bytes;
  return most > routing ? most : routing;
}

template <class S>
constexpr Kernels make(const char* name, bool (*supported)()) {
  return {
      .name = name,
      .supported = supported,
      .can = Matmul<S>::can,
      .form = Matmul<S>::form,
      .scratch_bytes = scratch_bytes<S>,
      .embed = embed<S>,
      .norm = norm<S>,
      .qkv = qkv<S>,
      .latent = latent<S>,
      .heads = heads<S>,
      .shared_latent = shared_latent<S>,
      .attention = attention<S>,
      .linear = linear<S>,
      .glu = glu<S>,
      .route = route<S>,
      .experts = experts<S>,
      .conv = conv<S>,
      .scan = scan<S>,
      .rotate = rotate<S>,
      .max = scan_max<S>,
      .above = scan_above<S>,
      .sum_exp = scan_sum_exp<S>,
      .exp = scan_exp<S>,
      .int8_peak = int8_peak<S>,
  };
}

}  // namespace
}  // namespace linnet

// Token ids to rows of the embedding table.
#pragma once

#include "gguf/formats/formats.h"
#include "kernels/cpu/work.h"

namespace linnet {
namespace {

struct EmbedJob {
  const EmbedArgs& a;

  void work(Team team) const {
    const Range rows = share(a.n, 1, team);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      float* out = a.out + t * a.w.cols;
      for_each_format([&]<class F>() {
        if (a.w.type != F::type) return;
        const int64_t bytes = a.w.cols / F::values * static_cast<int64_t>(sizeof(typename F::Block));
        const auto* row =
            reinterpret_cast<const typename F::Block*>(static_cast<const std::byte*>(a.w.data) + a.tokens[t] * bytes);
        if (a.add)
          add_row<F>(row, out);
        else
          decode_row<F>(row, out, a.w.cols);
      });
      for (int64_t k = 0; k < a.w.cols && a.scale != 1.0f && !a.add; ++k) out[k] *= a.scale;
    }
  }

  template <class F>
  void add_row(const typename F::Block* row, float* out) const {
    for (int64_t k = 0; k < a.w.cols; ++k)
      out[k] += F::value(row[k / F::values], static_cast<int>(k % F::values)) * a.scale;
  }
};

template <class S>
void embed(Exec& exec, const EmbedArgs& a) {
  EmbedJob job{a};
  start_job(exec, job, a.n == 1 ? 0 : a.n * a.w.cols);
}

}  // namespace
}  // namespace linnet

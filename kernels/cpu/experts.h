// Mixture of experts: the choice, and the chosen experts' feed-forward networks. Rows are gathered by expert, so that each
// expert's matrices are read once; a row's experts are summed in the order of its choices, so that its result does not
// depend on its batch.
//   y = scale * fma(w[j], down_j, ...), from j = 0 (w[0] * down_0) on
#pragma once

#include "kernels/cpu/glu.h"

namespace linnet {
namespace {

// One row's choice.
struct RowRouter {
  const RouteArgs& a;
  float* p;       // [experts] probabilities
  float* choice;  // [experts] what the choice looks at
  float* group;   // [groups] the sum of a group's two best

  void probabilities(const float* logits) const {
    if (a.gating == Gating::softmax_of_chosen) {
      for (int32_t e = 0; e < a.experts; ++e) p[e] = logits[e];
    } else if (a.gating == Gating::sigmoid) {
      for (int32_t e = 0; e < a.experts; ++e) p[e] = 1.0f / (1.0f + math::exp_of<math::ScalarMath>(-logits[e]));
    } else {
      softmax(logits, a.experts, p);
    }
  }

  LINNET_INLINE static void softmax(const float* x, int32_t n, float* out) {
    float most = x[0], sum = 0.0f;
    for (int32_t e = 1; e < n; ++e) most = x[e] > most ? x[e] : most;
    for (int32_t e = 0; e < n; ++e) sum += out[e] = math::exp_of<math::ScalarMath>(x[e] - most);
    for (int32_t e = 0; e < n; ++e) out[e] /= sum;
  }

  // Turns the choice of the experts of groups that lose, and their group's sum, into NaN.
  void drop_groups() const {
    const int32_t size = a.experts / a.groups;
    for (int32_t g = 0; g < a.groups; ++g) {
      float first = -__builtin_inff(), second = first;
      for (const float* c = choice + g * size; c < choice + (g + 1) * size; ++c) {
        second = *c > first ? first : *c > second ? *c : second;
        first = *c > first ? *c : first;
      }
      const float sum = size > 1 ? first + second : first;
      group[g] = sum == sum ? sum : -__builtin_inff();  // of infinities
    }
    for (int32_t left = a.groups - a.groups_used; left > 0; --left) {
      int32_t worst = -1;
      for (int32_t g = 0; g < a.groups; ++g)
        if (group[g] == group[g] && (worst < 0 || group[g] <= group[worst])) worst = g;
      group[worst] = __builtin_nanf("");
      for (int32_t e = 0; e < size; ++e) choice[worst * size + e] = __builtin_nanf("");
    }
  }

  // The greater; a NaN is least.
  LINNET_INLINE static bool beats(float x, float y) { return x > y || (x == x && y != y); }

  void choose(const float* logits, int32_t* chosen, float* weight) const {
    probabilities(logits);
    for (int32_t e = 0; e < a.experts; ++e) choice[e] = a.bias ? p[e] + a.bias[e] : p[e];
    if (a.groups > 1) drop_groups();
    for (int32_t j = 0; j < a.used; ++j) {
      int32_t best = -1;
      for (int32_t e = 0; e < a.experts; ++e) {
        bool taken = false;
        for (int32_t i = 0; i < j; ++i) taken |= chosen[i] == e;
        if (!taken && (best < 0 || beats(choice[e], choice[best]))) best = e;
      }
      chosen[j] = best;
      weight[j] = p[best];
    }
    if (a.gating == Gating::softmax_of_chosen) softmax(weight, a.used, weight);
    if (a.normalize) {
      float sum = 0.0f;
      for (int32_t j = 0; j < a.used; ++j) sum += weight[j];
      for (int32_t j = 0; j < a.used && sum > 0.0f; ++j) weight[j] /= sum;
    }
    for (int32_t j = 0; j < a.used && a.scale != 1.0f; ++j) weight[j] *= a.scale;
  }
};

// On the caller alone: thousands of operations a row, where an expert has millions.
template <class S>
void route(Exec& exec, const RouteArgs& a) {
  auto* p = reinterpret_cast<float*>(exec.scratch);
  const RowRouter router{a, p, p + a.experts, p + 2 * a.experts};
  const Routes& r = a.out;
  for (int32_t e = 0; e <= a.experts; ++e) r.first[e] = 0;
  for (int64_t t = 0; t < a.n; ++t) {
    router.choose(a.logits + t * a.experts, r.slot + t * a.used, r.weight + t * a.used);
    for (int32_t j = 0; j < a.used; ++j) ++r.first[r.slot[t * a.used + j] + 1];
  }
  for (int32_t e = 0; e < a.experts; ++e) r.first[e + 1] += r.first[e];
  // `first` moves forward while slots are given out, and back afterwards.
  for (int64_t t = 0; t < a.n; ++t)
    for (int32_t j = 0; j < a.used; ++j) {
      int32_t& expert_or_slot = r.slot[t * a.used + j];
      expert_or_slot = r.first[expert_or_slot]++;
      r.row[expert_or_slot] = static_cast<int32_t>(t);
    }
  for (int32_t e = a.experts; e > 0; --e) r.first[e] = r.first[e - 1];
  r.first[0] = 0;
}

template <class S>
struct ExpertsJob {
  const ExpertsArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    gather(team);
    team.barrier();
    activate_hidden(team);
    team.barrier();
    if (a.forms) {
      quantize(team);
      team.barrier();
    }
    multiply_down(team);
    team.barrier();
    combine(team);
  }

  int64_t slots() const { return a.n * a.used; }

  template <class T>
  LINNET_INLINE static void copy(const T* from, int64_t row, int64_t slot, int64_t count, T* to) {
    for (int64_t k = 0; k < count; ++k) to[slot * count + k] = from[row * count + k];
  }

  void gather(Team team) const {
    const int64_t cols = a.x.cols;
    const Range mine = share(slots(), 1, team);
    for (int64_t s = mine.begin; s < mine.end; ++s) {
      const int64_t t = a.routes.row[s];
      const Activations &x = a.x, &g = a.gathered;
      copy(x.f32, t, s, cols, g.f32);
      if (a.x_forms & kForm32) {
        copy(x.q32, t, s, cols, g.q32);
        copy(x.d32, t, s, cols / 32, g.d32);
        copy(x.sum32, t, s, cols / 32, g.sum32);
      }
      if (a.x_forms & kForm256) {
        copy(x.q256, t, s, cols, g.q256);
        copy(x.d256, t, s, cols / 256, g.d256);
        copy(x.sum16, t, s, cols / 16, g.sum16);
      }
    }
  }

  // out[slot][rows] = l x + bias, for this member's rows of one expert's matrix.
  void multiply(const Linear& l, const Activations& x, int64_t slot, int64_t count, Range rows, float* out,
                Team team) const {
    float* y = out + slot * l.w.rows;
    Matmul<S>::rows(y, l.w.rows, l.w, rows_from(x, slot), count, rows.begin, rows.end, scratch.area(team));
    for (int64_t i = 0; i < count; ++i)
      finish_products(l, i, rows.begin, rows.end - rows.begin, y + i * l.w.rows + rows.begin);
  }

  template <class Work>
  LINNET_INLINE void for_each_expert(const Linear* matrices, Team team, Work work) const {
    const Range rows = share_rows(matrices[0].w.rows, team);
    if (rows.begin == rows.end) return;
    for (int32_t e = 0; e < a.experts; ++e) {
      const int64_t slot = a.routes.first[e], count = a.routes.first[e + 1] - slot;
      if (count > 0) work(e, slot, count, rows);
    }
  }

  void activate_hidden(Team team) const {
    for_each_expert(a.up, team, [&](int32_t e, int64_t slot, int64_t count, Range rows) {
      multiply(a.up[e], a.gathered, slot, count, rows, a.products, team);
      if (a.gate) multiply(a.gate[e], a.gathered, slot, count, rows, a.hidden.f32, team);
      for (int64_t s = slot; s < slot + count; ++s) {
        float* hidden = a.hidden.f32 + s * a.hidden.cols + rows.begin;
        activate<S>(a.kind, a.gate ? hidden : nullptr, a.products + s * a.hidden.cols + rows.begin,
                    rows.end - rows.begin, hidden);
      }
    });
  }

  void quantize(Team team) const {
    const int64_t unit = form_unit(a.forms), units = a.hidden.cols / unit;
    const Range mine = share(slots() * units, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      quantize_columns<S>(a.hidden, a.forms, i / units, i % units * unit, (i % units + 1) * unit);
  }

  void multiply_down(Team team) const {
    for_each_expert(a.down, team, [&](int32_t e, int64_t slot, int64_t count, Range rows) {
      multiply(a.down[e], a.hidden, slot, count, rows, a.products, team);
    });
  }

  void combine(Team team) const {
    const int64_t dim = a.down[0].w.rows, piece = 256, pieces = (dim + piece - 1) / piece;
    const Range mine = share(a.n * pieces, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t t = i / pieces, c0 = i % pieces * piece, c1 = c0 + piece < dim ? c0 + piece : dim;
      const int32_t* slot = a.routes.slot + t * a.used;
      const float* weight = a.routes.weight + t * a.used;
      for (int64_t c = c0; c < c1; ++c) {
        float sum = weight[0] * a.products[slot[0] * dim + c];
        for (int32_t j = 1; j < a.used; ++j) sum = __builtin_fmaf(weight[j], a.products[slot[j] * dim + c], sum);
        sum *= a.scale;
        float& y = a.y[t * dim + c];
        y = a.add ? y + sum : sum;
      }
    }
  }
};

template <class S>
void experts(Exec& exec, const ExpertsArgs& a) {
  const int64_t cols = a.x.cols > a.hidden.cols ? a.x.cols : a.hidden.cols;
  ExpertsJob<S> job{a, {exec, a.n, cols, 0}};
  start_job(exec, job, a.n * a.used * a.x.cols * a.hidden.cols);
}

}  // namespace
}  // namespace linnet

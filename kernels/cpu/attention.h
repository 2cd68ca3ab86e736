// Paged attention: segments of 8 pages reduced separately, merged left to right, in any number of threads.
//
// Merging (m, l, o) with the next segment's: M = max of both, a = exp(m - M), b = exp(m' - M),
//   l = fma(l', b, l * a), o[d] = fma(o'[d], b, o[d] * a).
// A sink is merged last: M = max(m, sink), a = exp(m - M), l = fma(l, a, exp(sink - M)), o[d] *= a. Result: o[d] / l.
#pragma once

#include "kernels/cpu/attention_page.h"
#include "kernels/cpu/work.h"

namespace linnet {
namespace {

inline constexpr int64_t kSegmentTokens = kSegmentPages * kPageTokens;
inline constexpr int64_t kQueriesTogether = 16;  // of neighbouring rows, so that a page is read once for all of them
inline constexpr int64_t kStateHeader = 16;      // floats before o in a stored state: m, l

LINNET_INLINE int64_t first_segment(const RowPlace& r) { return r.begin / kSegmentTokens; }
LINNET_INLINE int64_t segment_count(const RowPlace& r) { return (r.end - 1) / kSegmentTokens - first_segment(r) + 1; }

// Memory of one member: states of a piece's queries and their 8-bit form.
struct AttentionArea {
  int64_t queries;   // most queries of one piece
  int64_t o_stride;  // floats
  int64_t k_stride;  // values

  LINNET_INLINE static AttentionArea plan(int64_t heads, int64_t k_dim, int64_t v_dim) {
    return {heads > kQueriesTogether ? heads : kQueriesTogether, round_up(v_dim, 16), round_up(k_dim, 64)};
  }
  LINNET_INLINE int64_t bytes() const {
    const int64_t floats = queries * (2 * o_stride + k_stride / 32);
    return round_up(2 * queries * static_cast<int64_t>(sizeof(Query)), 64) +
           round_up(floats * 4 + queries * (k_stride + k_stride / 32 * 4), 64);
  }
};

// Bytes of the stored states of split segments; a call with more takes its segments one after the other instead.
LINNET_INLINE int64_t state_bytes(int64_t rows, int64_t heads, int64_t segments, int64_t v_dim) {
  return rows * heads * segments * (kStateHeader + round_up(v_dim, 16)) * 4;
}

LINNET_INLINE void merge_states(Query& into, const Query& next, int64_t v_dim) {
  const float m = into.m > next.m ? into.m : next.m;
  const float a = math::exp_of<math::ScalarMath>(into.m - m);
  const float b = math::exp_of<math::ScalarMath>(next.m - m);
  into.m = m;
  into.l = __builtin_fmaf(next.l, b, into.l * a);
  for (int64_t d = 0; d < v_dim; ++d) into.o[d] = __builtin_fmaf(next.o[d], b, into.o[d] * a);
}

LINNET_INLINE void finish_state(Query& q, const float* sink, int64_t v_dim, float* out) {
  if (sink) {
    const float m = q.m > *sink ? q.m : *sink;
    const float a = math::exp_of<math::ScalarMath>(q.m - m);
    q.l = __builtin_fmaf(q.l, a, math::exp_of<math::ScalarMath>(*sink - m));
    for (int64_t d = 0; d < v_dim; ++d) q.o[d] *= a;
  }
  for (int64_t d = 0; d < v_dim; ++d) out[d] = q.o[d] / q.l;
}

template <class S>
struct AttentionJob {
  const AttentionArgs& a;
  int64_t group;     // query heads per kv_head
  int64_t rows;      // rows per piece
  int64_t segments;  // 1: a piece is all segments of its rows; else pieces are single segments and leave their state
  int64_t pieces;
  AttentionArea area;
  std::byte* areas;  // [members][area.bytes()]
  float* states;     // [n][heads][segments][kStateHeader + o_stride]
  int64_t next;

  void work(Team team) {
    for (int64_t i; (i = claim(&next)) < pieces;) run_piece(i, areas + team.rank * area.bytes());
    const int64_t unit = form_unit(a.forms);
    if (segments > 1) {
      team.barrier();
      finish_split(unit, team);
    } else if (unit > 1) {
      team.barrier();
      const int64_t units = a.out.cols / unit;
      const Range mine = share(a.n * units, 1, team);
      for (int64_t i = mine.begin; i < mine.end; ++i)
        quantize_columns<S>(a.out, a.forms, i / units, i % units * unit, (i % units + 1) * unit);
    }
  }

  // Piece: a few rows, one kv_head, and one segment or all. Rows of the same sequence are taken together.
  void run_piece(int64_t piece, std::byte* memory) {
    const int64_t segment = piece % segments;
    const int64_t head = piece / segments % a.kv.kv_heads;
    int64_t r0 = piece / segments / a.kv.kv_heads * rows;
    const int64_t r1 = r0 + rows < a.n ? r0 + rows : a.n;
    while (r0 < r1) {
      int64_t r = r0 + 1;
      while (r < r1 && a.rows[r].pages == a.rows[r0].pages && a.rows[r].first_page == a.rows[r0].first_page) ++r;
      run_rows(r0, r, head, segment, memory);
      r0 = r;
    }
  }

  float* state(int64_t row, int64_t head, int64_t segment) const {
    return states + ((row * a.heads + head) * segments + segment) * (kStateHeader + area.o_stride);
  }

  void run_rows(int64_t r0, int64_t r1, int64_t kv_head, int64_t segment, std::byte* memory) {
    const int64_t count = (r1 - r0) * group;
    auto* current = reinterpret_cast<Query*>(memory);  // of the segment
    Query* total = current + area.queries;             // of the segments before
    set_queries(r0, r1, kv_head, current, memory);
    int64_t s0 = first_segment(a.rows[r0]), s1 = s0;
    for (int64_t r = r0; r < r1; ++r) {
      const int64_t first = first_segment(a.rows[r]), last = first + segment_count(a.rows[r]);
      s0 = first < s0 ? first : s0;
      s1 = last > s1 ? last : s1;
    }
    if (segments > 1) {
      s0 += segment;
      s1 = s0 < s1 ? s0 + 1 : s0;
    }
    for (int64_t i = 0; i < count; ++i) {
      total[i] = current[i];
      total[i].o = current[i].o + area.queries * area.o_stride;
      clear(total[i]);
    }
    for (int64_t s = s0; s < s1; ++s) {
      for (int64_t i = 0; i < count; ++i) clear(current[i]);
      run_segment(s, a.rows[r0], kv_head, current, count);
      for (int64_t i = 0; i < count; ++i) take_segment(s, current[i], total[i]);
    }
    for (int64_t i = 0; i < count; ++i) leave(total[i], r0 + i / group, kv_head * group + i % group, segment);
  }

  void clear(Query& q) const {
    q.m = -__builtin_inff();
    q.l = 0.0f;
    for (int64_t d = 0; d < area.o_stride; ++d) q.o[d] = 0.0f;
  }

  // The first segment a query sees becomes its total, the others are merged.
  void take_segment(int64_t s, Query& current, Query& total) const {
    if (current.begin >= (s + 1) * kSegmentTokens || current.end <= s * kSegmentTokens) return;
    if (current.begin < s * kSegmentTokens && segments == 1) return merge_states(total, current, a.kv.v_dim);
    const Query free = total;
    total = current;
    current.o = free.o;
  }

  void leave(Query& q, int64_t row, int64_t head, int64_t segment) const {
    if (segments == 1)
      return finish_state(q, a.sinks ? a.sinks + head : nullptr, a.kv.v_dim,
                          a.out.f32 + row * a.out.cols + head * a.kv.v_dim);
    float* to = state(row, head, segment);
    to[0] = q.m;
    to[1] = q.l;
    for (int64_t d = 0; d < a.kv.v_dim; ++d) to[kStateHeader + d] = q.o[d];
  }

  void set_queries(int64_t r0, int64_t r1, int64_t kv_head, Query* queries, std::byte* memory) const {
    auto* o = reinterpret_cast<float*>(memory + round_up(2 * area.queries * static_cast<int64_t>(sizeof(Query)), 64));
    float* scale = o + 2 * area.queries * area.o_stride;
    auto* sum = reinterpret_cast<int32_t*>(scale + area.queries * (area.k_stride / 32));
    auto* q8 = reinterpret_cast<int8_t*>(sum + area.queries * (area.k_stride / 32));
    for (int64_t i = 0; i < (r1 - r0) * group; ++i) {
      const int64_t row = r0 + i / group, head = kv_head * group + i % group;
      const float* q = a.q + (row * a.heads + head) * a.kv.k_dim;
      queries[i] = {q,
                    q8,
                    scale,
                    sum,
                    a.rows[row].begin,
                    a.rows[row].end,
                    0.0f,
                    0.0f,
                    o,
                    a.rows[row].position,
                    a.slopes ? a.slopes[head] : 0.0f};
      for (int64_t b = 0; a.kv.type == KvType::q8_0 && b < a.kv.k_dim / 32; ++b)
        scale[b] = quantize_32<S>(q + b * 32, q8 + b * 32, sum + b);
      o += area.o_stride;
      scale += area.k_stride / 32;
      sum += area.k_stride / 32;
      q8 += area.k_stride;
    }
  }

  void run_segment(int64_t segment, const RowPlace& place, int64_t kv_head, Query* queries, int64_t count) const {
    for (int64_t p = segment * kSegmentPages; p < (segment + 1) * kSegmentPages; ++p) {
      alignas(64) float probabilities[4][kPageTokens];
      PageQuery at[4];
      int waiting = 0;
      PageBlocks page{a.kv.type, a.kv.k_dim, a.kv.v_dim, nullptr, nullptr};
      for (int64_t i = 0; i < count; ++i) {
        const int64_t lo = queries[i].begin - p * kPageTokens, hi = queries[i].end - p * kPageTokens;
        if (hi <= 0 || lo >= kPageTokens) continue;
        if (!page.k) {
          page.k = k_head(place.pages[p - place.first_page], a.kv, kv_head);
          page.v = v_head(place.pages[p - place.first_page], a.kv, kv_head);
        }
        at[waiting] = {queries + i, lo > 0 ? lo : 0, hi < kPageTokens ? hi : kPageTokens, probabilities[waiting],
                       p * kPageTokens};
        if (++waiting == 4) {
          attend_page<S, 4>(page, at, a.scale, a.softcap);
          waiting = 0;
        }
      }
      if (waiting >= 2) attend_page<S, 2>(page, at, a.scale, a.softcap);
      if (waiting & 1) attend_page<S, 1>(page, at + (waiting & 2), a.scale, a.softcap);
    }
  }

  // Merges the segments of each head, finishes it, and quantizes runs of heads that make whole units.
  void finish_split(int64_t unit, Team team) const {
    int64_t run = 1;
    while (run * a.kv.v_dim % unit != 0) ++run;
    const int64_t runs = (a.heads + run - 1) / run;
    const Range mine = share(a.n * runs, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t row = i / runs, h0 = i % runs * run, h1 = h0 + run < a.heads ? h0 + run : a.heads;
      for (int64_t head = h0; head < h1; ++head) {
        Query total = stored(row, head, 0);
        for (int64_t s = 1; s < segment_count(a.rows[row]); ++s) merge_states(total, stored(row, head, s), a.kv.v_dim);
        finish_state(total, a.sinks ? a.sinks + head : nullptr, a.kv.v_dim,
                     a.out.f32 + row * a.out.cols + head * a.kv.v_dim);
      }
      quantize_columns<S>(a.out, a.forms, row, h0 * a.kv.v_dim, h1 * a.kv.v_dim);
    }
  }

  Query stored(int64_t row, int64_t head, int64_t segment) const {
    float* from = state(row, head, segment);
    Query q{};
    q.m = from[0];
    q.l = from[1];
    q.o = from + kStateHeader;
    return q;
  }
};

template <class S>
void attention(Exec& exec, const AttentionArgs& a) {
  const int64_t members = team_size(*exec.pool);
  const AttentionArea area = AttentionArea::plan(a.heads, a.kv.k_dim, a.kv.v_dim);
  const int64_t group = a.heads / a.kv.kv_heads;
  int64_t visible = 0, segments = 1;
  for (int64_t r = 0; r < a.n; ++r) {
    visible += a.rows[r].end - a.rows[r].begin;
    const int64_t count = segment_count(a.rows[r]);
    segments = count > segments ? count : segments;
  }
  // Enough pieces without splitting, or no room for the states: segments one after the other.
  const int64_t area_bytes = members * area.bytes();
  if (members == 1 || a.n * a.kv.kv_heads >= 4 * members ||
      area_bytes + state_bytes(a.n, a.heads, segments, a.kv.v_dim) > exec.scratch_bytes)
    segments = 1;
  int64_t rows = 1;
  if (segments == 1)
    while (rows * 2 * group <= kQueriesTogether && a.n * a.kv.kv_heads >= rows * 2 * 4 * members) rows *= 2;
  const int64_t pieces = (a.n + rows - 1) / rows * a.kv.kv_heads * segments;
  AttentionJob<S> job{
      a, group, rows, segments, pieces, area, exec.scratch, reinterpret_cast<float*>(exec.scratch + area_bytes), 0};
  start_job(exec, job, visible * a.heads * (a.kv.k_dim + a.kv.v_dim));
}

}  // namespace
}  // namespace linnet

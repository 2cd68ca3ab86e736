// Routes with memory, for the tests of both verbs of a mixture of experts.
#pragma once

#include "tests/kernels/kernels_support.h"

namespace linnet {

struct Routed {
  int64_t n;
  int32_t experts, used;
  std::vector<int32_t> first, row, slot;
  Array<float> weight;
  Routes routes;

  Routed(int64_t rows, int32_t of, int32_t chosen)
      : n(rows),
        experts(of),
        used(chosen),
        first(static_cast<size_t>(of) + 1, -1),
        row(static_cast<size_t>(rows * chosen), -1),
        slot(row.size(), -1),
        weight(row.size(), NAN),
        routes{first.data(), row.data(), slot.data(), weight.data()} {}
  Routed(const Routed&) = delete;

  int32_t slot_of(int64_t t, int32_t j) const { return slot[static_cast<size_t>(t * used + j)]; }
  // Row t's choice j; -1 where its slot belongs to no expert.
  int32_t expert(int64_t t, int32_t j) const {
    for (int32_t e = 0; e < experts; ++e) {
      const auto at = static_cast<size_t>(e);
      if (first[at] <= slot_of(t, j) && slot_of(t, j) < first[at + 1]) return e;
    }
    return -1;
  }
  // Fails unless the slots are a permutation sorted by expert and then by row, and a row's experts differ.
  void expect_consistent() const {
    ASSERT_EQ(first[0], 0);
    ASSERT_EQ(first.back(), n * used);
    std::vector<bool> taken(row.size());
    for (int64_t t = 0; t < n; ++t) {
      std::vector<bool> chosen(static_cast<size_t>(experts));
      for (int32_t j = 0; j < used; ++j) {
        ASSERT_GE(slot_of(t, j), 0);
        ASSERT_LT(slot_of(t, j), n * used);
        const auto s = static_cast<size_t>(slot_of(t, j));
        ASSERT_FALSE(taken[s]) << "slot " << s;
        taken[s] = true;
        ASSERT_EQ(row[s], t);
        const int32_t e = expert(t, j);
        ASSERT_GE(e, 0);
        ASSERT_FALSE(chosen[static_cast<size_t>(e)]) << "row " << t << " has expert " << e << " twice";
        chosen[static_cast<size_t>(e)] = true;
      }
    }
    for (size_t e = 0; e < static_cast<size_t>(experts); ++e) {
      ASSERT_LE(first[e], first[e + 1]);
      for (auto s = static_cast<size_t>(first[e]); s + 1 < static_cast<size_t>(first[e + 1]); ++s)
        ASSERT_LT(row[s], row[s + 1]);
    }
  }
};

}  // namespace linnet

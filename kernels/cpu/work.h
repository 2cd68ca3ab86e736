// How verbs spread their work over the team and use the caller's scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/base/inline.h"
#include "kernels/cpu/team.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

struct Range {
  int64_t begin, end;
};

// Member `rank`'s share of [0, count) in whole granules, contiguous, in the order of ranks.
LINNET_INLINE Range share(int64_t count, int64_t granule, Team team) {
  const int64_t granules = (count + granule - 1) / granule;
  const int64_t begin = granules * team.rank / team.size * granule;
  const int64_t end = granules * (team.rank + 1) / team.size * granule;
  return {begin < count ? begin : count, end < count ? end : count};
}

// Rows of a matrix go out in granules of 32 (whole cache lines of results, whole slabs of the matrix product), smaller
// ones where a member would get fewer than four.
LINNET_INLINE Range share_rows(int64_t rows, Team team) {
  int64_t granule = 32;
  while (granule > 4 && rows < granule * 4 * team.size) granule /= 2;
  return share(rows, granule, team);
}

LINNET_INLINE constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Takes the next of a job's pieces; pieces differ in cost, so members take them as they get free.
LINNET_INLINE int64_t claim(int64_t* next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

// Below about this many multiply-adds a verb is faster on the caller alone than with a team that must be told.
inline constexpr int64_t kAloneOperations = 32 * 1024;

// Runs job.work(team) on the team, or on the caller alone when that is as fast.
template <class Job>
void start_job(Exec& exec, Job& job, int64_t operations) {
  const auto work = [](void* context, Team team) { static_cast<Job*>(context)->work(team); };
  if (operations < kAloneOperations)
    run_on_caller(*exec.pool, work, &job);
  else
    run_on_team(*exec.pool, work, &job);
}

}  // namespace
}  // namespace linnet

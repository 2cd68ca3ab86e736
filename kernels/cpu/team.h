// What a verb needs of the pool, without the pool's own includes: instruction-set sources may include only headers that
// leave no symbol behind.
#pragma once

#include <cstdint>

namespace linnet {

class Pool;

// What a running function knows of its place: rank in [0, size).
struct Team {
  int32_t rank;
  int32_t size;
  Pool* pool;
  // Waits for all members. What was written before is seen by all after.
  void barrier() const;
};

using TeamWork = void (*)(void* context, Team team);

// Pool::run, Pool::run_alone and Pool::size.
void run_on_team(Pool& pool, TeamWork work, void* context);
void run_on_caller(Pool& pool, TeamWork work, void* context);
int32_t team_size(const Pool& pool);

}  // namespace linnet

// An operator new, for the whole test program, that can be told to fail, and counts.
#pragma once

#include <cstdint>

namespace linnet {

// Lets the Nth allocation from now on fail (0: the next), on any thread.
void fail_allocation(int64_t n);
// Ends that; true when none has failed.
bool none_failed();
// What this thread has asked for since it began, freed or not; 0 where operator new cannot be replaced.
uint64_t allocated_bytes();
// False where operator new cannot be replaced (Clang's thread sanitizer).
bool can_fail_allocations();

}  // namespace linnet

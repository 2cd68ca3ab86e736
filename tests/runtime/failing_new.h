// An operator new, for the whole test program, that can be told to fail.
#pragma once

#include <cstdint>

namespace linnet {

// Lets the Nth allocation from now on fail (0: the next), on any thread.
void fail_allocation(int64_t n);
// Ends that; true when none has failed.
bool none_failed();
// False where operator new cannot be replaced (Clang's thread sanitizer).
bool can_fail_allocations();

}  // namespace linnet

// What the calling thread has asked of operator new, in the whole test program (allocation_test.cpp); always 0 under
// Clang's thread sanitizer.
#pragma once

#include <cstdint>

namespace linnet {

int64_t allocation_count();
int64_t allocated_bytes();

}  // namespace linnet

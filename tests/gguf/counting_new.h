// Counts what the calling thread asks of operator new, in the whole test program.
#pragma once

#include <cstdint>

namespace linnet {

class AllocationCount {
 public:
  AllocationCount();
  // Bytes asked for since construction, freed or not.
  uint64_t bytes() const;

 private:
  uint64_t start_;
};

}  // namespace linnet

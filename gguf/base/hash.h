// XXH64, the checksum of tensors and files (not a defence against forgery).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace linnet {

uint64_t xxh64(std::span<const std::byte> bytes, uint64_t seed = 0);

// The same over data that comes in pieces.
class Xxh64 {
 public:
  Xxh64() : Xxh64(0) {}
  explicit Xxh64(uint64_t seed);
  void update(std::span<const std::byte> bytes);
  uint64_t digest() const;

 private:
  alignas(8) std::byte state_[88];  // an XXH64_state_t
};

}  // namespace linnet

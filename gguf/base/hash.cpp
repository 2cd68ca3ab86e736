#include "gguf/base/hash.h"

#include <new>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace linnet {
namespace {

static_assert(sizeof(XXH64_state_t) == 88 && alignof(XXH64_state_t) <= 8);
XXH64_state_t* state(std::byte* bytes) { return std::launder(reinterpret_cast<XXH64_state_t*>(bytes)); }
const XXH64_state_t* state(const std::byte* bytes) {
  return std::launder(reinterpret_cast<const XXH64_state_t*>(bytes));
}

}  // namespace

uint64_t xxh64(std::span<const std::byte> bytes, uint64_t seed) { return XXH64(bytes.data(), bytes.size(), seed); }

Xxh64::Xxh64(uint64_t seed) {
  new (state_) XXH64_state_t;
  XXH64_reset(state(state_), seed);
}

void Xxh64::update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH64_update(state(state_), bytes.data(), bytes.size());
}

uint64_t Xxh64::digest() const { return XXH64_digest(state(state_)); }

}  // namespace linnet

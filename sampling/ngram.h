// A number for a few tokens in a row, equal for equal ones and, in practice, for no others.
#pragma once

#include <cstdint>

namespace linnet {

// Of `length` tokens; token(0) is the last of them.
template <class Token>
uint64_t ngram_hash(int length, Token token) {
  uint64_t hash = 0x9E3779B97F4A7C15u;
  for (int i = 0; i < length; ++i) {
    hash ^= uint64_t(uint32_t(token(i))) + 1;
    hash *= 0xbf58476d1ce4e5b9u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace linnet

// Uses everything that an accepted file offers, as a careless caller would: what damage and fuzz tests do with files
// that parse.
#pragma once

#include <cstdint>

#include "gguf/codec.h"
#include "gguf/reader.h"

namespace linnet {

// Touches every value and the first and last byte of every tensor, and decodes its first block. The result only keeps the reads alive.
inline uint64_t exercise(const Gguf& g) {
  uint64_t sum = g.version() + g.alignment() + g.file_bytes() + g.shards();
  for (const Value& v : g.values()) {
    sum += uint64_t(g.find(v.key) == &v);
    for (uint64_t i = 0; i < v.count; ++i) {
      if (v.is_integer() || v.element == ValueType::boolean) sum += uint64_t(v.integer(i));
      if (v.is_number()) sum += uint64_t(v.number(i) == 0.0);
    }
    for (const std::string_view s : v.strings()) sum += s.empty() ? 1 : uint8_t(s.back());
    if (v.bytes > 0) sum += uint8_t(v.data[v.bytes - 1]);
    sum += v.string().size() + v.boolean();
    sum += g.string_or(v.key, "") ? 1u : 0u;
    sum += g.integer_or(v.key, 0) ? 1u : 0u;
    sum += g.number_or(v.key, 0) ? 1u : 0u;
    sum += g.boolean_or(v.key, false) ? 1u : 0u;
  }
  for (const Tensor& t : g.tensors()) {
    sum += uint64_t(g.tensor(t.name) == &t) + t.rows();
    sum += uint8_t(t.data[0]) + uint8_t(t.data[t.bytes - 1]);
    sum += g.stored_checksum(t).value_or(0);
    if (const Codec* c = codec(t.type)) {
      float values[256];
      c->decode(t.data, values, type_info(t.type)->block_values);
      sum += uint64_t(values[0] == values[0]);
    }
  }
  return sum;
}

}  // namespace linnet

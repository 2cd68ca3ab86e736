// The alphabet of byte-level BPE: every byte is written as one visible character, so that a vocabulary is plain text.
// Bytes that are visible Latin-1 characters stand for themselves; the other 68, in order, for U+0100 and following.
// Source: the GPT-2 release (encoder.py, bytes_to_unicode).
#pragma once

#include <array>
#include <cstdint>

namespace linnet {

struct ByteAlphabet {
  static constexpr uint32_t kSize = 0x100 + 68;  // one more than the largest character
  std::array<uint16_t, 256> character{};         // byte -> code point
  std::array<int16_t, kSize> byte{};             // code point -> byte, -1: not in the alphabet

  constexpr ByteAlphabet() {
    byte.fill(-1);
    uint16_t next = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool visible = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
      character[b] = visible ? uint16_t(b) : next++;
      byte[character[b]] = int16_t(b);
    }
  }
  // The byte that a code point stands for, or -1.
  constexpr int32_t byte_of(uint32_t code_point) const { return code_point < kSize ? byte[code_point] : -1; }
};

inline constexpr ByteAlphabet kByteAlphabet;
static_assert(kByteAlphabet.character[' '] == 0x120 && kByteAlphabet.byte[0x143] == 0xad);

}  // namespace linnet

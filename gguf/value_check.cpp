#include "gguf/value_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// How a number of a block is stored, by the bits that make it NaN or infinite.
enum class Stored : uint8_t {
  none,
  f64,
  f32,
  f16,
  bf16,
  e8m0,        // MXFP4's power of two: 255 is NaN, 253 and 254 make values beyond float32
  ue4m3,       // NVFP4's scales, one byte for 16 values: 127 is NaN, the sign bit is not used
  f16_nibbles  // IQ1_M: the top four bits of four 16-bit words, lowest word first
};

struct Places {
  Type type;
  Stored stored;
  std::array<uint8_t, 4> at;  // byte offsets in the block
  uint8_t count;
};

constexpr Places kPlaces[] = {
    {Type::f64, Stored::f64, {0}, 1},
    {Type::f32, Stored::f32, {0}, 1},
    {Type::f16, Stored::f16, {0}, 1},
    {Type::bf16, Stored::bf16, {0}, 1},
    {Type::q4_0, Stored::f16, {0}, 1},
    {Type::q4_1, Stored::f16, {0, 2}, 2},
    {Type::q5_0, Stored::f16, {0}, 1},
    {Type::q5_1, Stored::f16, {0, 2}, 2},
    {Type::q8_0, Stored::f16, {0}, 1},
    {Type::q8_1, Stored::f16, {0, 2}, 2},
    {Type::q2_k, Stored::f16, {80, 82}, 2},
    {Type::q3_k, Stored::f16, {108}, 1},
    {Type::q4_k, Stored::f16, {0, 2}, 2},
    {Type::q5_k, Stored::f16, {0, 2}, 2},
    {Type::q6_k, Stored::f16, {208}, 1},
    {Type::q8_k, Stored::f32, {0}, 1},
    {Type::iq2_xxs, Stored::f16, {0}, 1},
    {Type::iq2_xs, Stored::f16, {0}, 1},
    {Type::iq2_s, Stored::f16, {0}, 1},
    {Type::iq3_xxs, Stored::f16, {0}, 1},
    {Type::iq3_s, Stored::f16, {0}, 1},
    {Type::iq1_s, Stored::f16, {0}, 1},
    {Type::iq1_m, Stored::f16_nibbles, {48}, 1},
    {Type::iq4_nl, Stored::f16, {0}, 1},
    {Type::iq4_xs, Stored::f16, {0}, 1},
    {Type::tq1_0, Stored::f16, {52}, 1},
    {Type::tq2_0, Stored::f16, {64}, 1},
    {Type::mxfp4, Stored::e8m0, {0}, 1},
    {Type::nvfp4, Stored::ue4m3, {0, 1, 2, 3}, 4},
    {Type::q1_0, Stored::f16, {0}, 1},
    {Type::q2_0, Stored::f16, {0}, 1},
};

template <class T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

// An exponent of all ones is an infinity or a NaN.
template <Stored stored>
bool bad(const std::byte* at) {
  if constexpr (stored == Stored::f64) return (~load<uint64_t>(at) & 0x7ff0000000000000u) == 0;
  if constexpr (stored == Stored::f32) return (~load<uint32_t>(at) & 0x7f800000u) == 0;
  if constexpr (stored == Stored::f16) return (~load<uint16_t>(at) & 0x7c00u) == 0;
  if constexpr (stored == Stored::bf16) return (~load<uint16_t>(at) & 0x7f80u) == 0;
  if constexpr (stored == Stored::e8m0) return load<uint8_t>(at) >= 253;
  if constexpr (stored == Stored::ue4m3) return (load<uint8_t>(at) & 127) == 127;
  if constexpr (stored == Stored::f16_nibbles) {
    uint32_t half = 0;
    for (int i = 0; i < 4; ++i) half |= uint32_t(load<uint16_t>(at + 2 * i) >> 12) << (4 * i);
    return (~half & 0x7c00u) == 0;
  }
  return false;
}

// The first of `count` numbers, `stride` bytes apart, that is bad; `count` when none is.
template <Stored stored>
uint64_t first_bad(const std::byte* data, uint64_t stride, uint64_t count) {
  constexpr uint64_t chunk = 1024;  // a run without branches, so that dense types are checked at memory speed
  for (uint64_t start = 0; start < count; start += chunk) {
    const uint64_t end = std::min(start + chunk, count);
    bool any = false;
    for (uint64_t i = start; i < end; ++i) any |= bad<stored>(data + i * stride);
    if (!any) continue;
    for (uint64_t i = start; i < end; ++i) {
      if (bad<stored>(data + i * stride)) return i;
    }
  }
  return count;
}

uint64_t first_bad(Stored stored, const std::byte* data, uint64_t stride, uint64_t count) {
  switch (stored) {
    case Stored::none:
      return count;
    case Stored::f64:
      return first_bad<Stored::f64>(data, stride, count);
    case Stored::f32:  // the stride is a constant where it can be: the loop becomes a vector loop
      return stride == 4 ? first_bad<Stored::f32>(data, 4, count) : first_bad<Stored::f32>(data, stride, count);
    case Stored::f16:
      return stride == 2 ? first_bad<Stored::f16>(data, 2, count) : first_bad<Stored::f16>(data, stride, count);
    case Stored::bf16:
      return first_bad<Stored::bf16>(data, 2, count);
    case Stored::e8m0:
      return first_bad<Stored::e8m0>(data, stride, count);
    case Stored::ue4m3:
      return first_bad<Stored::ue4m3>(data, stride, count);
    case Stored::f16_nibbles:
      return first_bad<Stored::f16_nibbles>(data, stride, count);
  }
  return count;
}

}  // namespace

Status check_values(const Tensor& tensor) {
  const TypeInfo& info = *type_info(tensor.type);
  const uint64_t stride = uint64_t(info.block_bytes), blocks = tensor.bytes / stride;
  for (const Places& places : kPlaces) {
    if (places.type != tensor.type) continue;
    for (int i = 0; i < places.count; ++i) {
      const uint64_t block = first_bad(places.stored, tensor.data + places.at[i], stride, blocks);
      if (block == blocks) continue;
      return fail(Code::gguf_value_check,
                  "tensor {} of type {}: block {} at offset {} holds a NaN or an infinity at its byte {}; the file is "
                  "damaged or was made badly",
                  quoted(tensor.name), info.name, block, tensor.offset + block * stride, places.at[i]);
    }
  }
  return {};
}

}  // namespace linnet

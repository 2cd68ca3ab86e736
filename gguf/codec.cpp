#include "gguf/codec.h"

#include <cmath>

#include "gguf/formats/formats.h"

namespace linnet {
namespace {

template <class F>
void decode(const void* blocks, float* out, int64_t values) {
  decode_row<F>(static_cast<const typename F::Block*>(blocks), out, values);
}

template <class F>
void encode(const float* x, void* blocks, int64_t values, const float* importance) {
  auto* block = static_cast<typename F::Block*>(blocks);
  for (int64_t b = 0; b < values / F::values; ++b)
    F::encode(x + b * F::values, block[b], importance ? importance + b * F::values : nullptr);
}

template <class F>
float value(const void* blocks, int64_t i) {
  return F::value(static_cast<const typename F::Block*>(blocks)[i / F::values], int(i % F::values));
}

template <class... F>
struct Table {
  static constexpr Codec rows[] = {{F::type, decode<F>, encode<F>, value<F>}...};
};

}  // namespace

const Codec* codec(Type type) {
  for (const Codec& row : WithFormats<Table>::rows)
    if (row.type == type) return &row;
  return nullptr;
}

Status encode_row(Type type, const float* x, void* blocks, int64_t values, const float* importance) {
  const TypeInfo* info = type_info(type);
  const Codec* c = codec(type);
  if (!c) {
    return fail(Code::unsupported, "cannot encode to type {} ({}): no encoder for it; choose one of the recipe types",
                info ? info->name : "unknown", uint32_t(type));
  }
  if (values < 0 || values % info->block_values != 0) {
    return fail(Code::gguf_row_multiple, "cannot encode {} values as {}: expected a multiple of {}", values, info->name,
                info->block_values);
  }
  for (int64_t i = 0; i < values; ++i) {
    if (!std::isfinite(x[i])) {
      return fail(Code::encode_values, "cannot encode to {}: value {} of {} is {}, expected a finite number",
                  info->name, i, values, x[i]);
    }
  }
  c->encode(x, blocks, values, importance);
  return {};
}

}  // namespace linnet

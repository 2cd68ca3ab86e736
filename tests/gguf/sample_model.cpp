#include "tests/gguf/sample_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace linnet {
namespace {

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

uint64_t data_bytes(const SampleTensor& t) {
  const TypeInfo& info = *type_info(t.type);
  uint64_t values = 1;
  for (const uint64_t dim : t.dims) values *= dim;
  return values / uint64_t(info.block_values) * uint64_t(info.block_bytes);
}

SampleModel all_values() {
  SampleModel m;
  m.keys = {sample_string("general.architecture", "sample"),
            sample_number<uint8_t>("v.u8", ValueType::u8, 200),
            sample_number<int8_t>("v.i8", ValueType::i8, -100),
            sample_number<uint16_t>("v.u16", ValueType::u16, 60000),
            sample_number<int16_t>("v.i16", ValueType::i16, -30000),
            sample_number<uint32_t>("v.u32", ValueType::u32, 4000000000u),
            sample_number<int32_t>("v.i32", ValueType::i32, -2000000000),
            sample_number<float>("v.f32", ValueType::f32, 1.5f),
            sample_number<uint8_t>("v.bool", ValueType::boolean, 1),
            sample_string("v.string", "Grüße, 世界"),
            sample_number<uint64_t>("v.u64", ValueType::u64, 0x8000000000000001u),
            sample_number<int64_t>("v.i64", ValueType::i64, -5),
            sample_number<double>("v.f64", ValueType::f64, 0.1)};
  m.tensors = {{"only", Type::f32, {5}}};
  return m;
}

SampleModel all_arrays() {
  SampleModel m;
  const std::vector<std::string> texts = {"", "a", "<0x00>", "\xff\xfe not text",
                                          "long enough to leave the small buffer"};
  m.keys = {sample_strings("a.string", texts),
            sample_array<uint8_t>("a.u8", ValueType::u8, {1, 2, 3}),
            sample_array<int8_t>("a.i8", ValueType::i8, {-1, 2}),
            sample_array<uint16_t>("a.u16", ValueType::u16, {1, 65535}),
            sample_array<int16_t>("a.i16", ValueType::i16, {-7}),
            sample_array<uint32_t>("a.u32", ValueType::u32, {}),
            sample_array<int32_t>("a.i32", ValueType::i32, {1, -2, 3, -4}),
            sample_array<float>("a.f32", ValueType::f32, {0.5f, -1.25f}),
            sample_array<uint8_t>("a.bool", ValueType::boolean, {0, 1, 1}),
            sample_array<uint64_t>("a.u64", ValueType::u64, {~0ull}),
            sample_array<int64_t>("a.i64", ValueType::i64, {-1}),
            sample_array<double>("a.f64", ValueType::f64, {3.25}),
            sample_nested("a.nested", 3)};
  return m;  // no tensors: like a vocabulary
}

SampleModel all_types_model() {
  SampleModel m;
  m.alignment = 64;
  m.keys = {alignment_key(64)};
  for (const TypeInfo& t : all_types()) {
    m.tensors.push_back({"t." + std::string(t.name), t.type, {uint64_t(t.block_values) * 2, 3}});
  }
  return m;
}

SampleModel any_order() {
  SampleModel m;
  m.version = 2;
  m.tensors = {{"late", Type::f16, {16, 2}, 512}, {"early", Type::q8_0, {32, 2}, 0}, {"middle", Type::i32, {7}, 128}};
  return m;
}

SampleModel many_small() {
  SampleModel m;
  m.alignment = 8;
  m.keys = {alignment_key(8)};
  for (int i = 0; i < 24; ++i) {
    m.tensors.push_back({"blk." + std::to_string(i) + ".weight", Type::f32, {1 + uint64_t(i) % 3, 1, 2, 1}});
  }
  return m;
}

}  // namespace

SampleBytes& SampleBytes::text(std::string_view text) { return field("text length", uint64_t(text.size())).raw(text); }

SampleBytes& SampleBytes::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

SampleBytes& SampleBytes::append(const SampleBytes& other) {
  for (const SampleField& f : other.fields_) fields_.push_back({f.what, bytes_.size() + f.offset, f.bytes});
  bytes_ += other.bytes_;
  return *this;
}

SampleBytes& SampleBytes::pad(uint64_t alignment) {
  bytes_.resize(round_up(bytes_.size(), alignment), '\0');
  return *this;
}

size_t SampleBytes::at(std::string_view what) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const SampleField& f) { return f.what == what; });
  if (found != fields_.end()) return found->offset;
  ADD_FAILURE() << "no field " << what;
  return 0;
}

std::string SampleBytes::with(std::string_view what, uint64_t value) const {
  std::string changed = bytes_;
  const size_t offset = at(what);
  for (const SampleField& f : fields_) {
    if (f.offset == offset) std::memcpy(changed.data() + f.offset, &value, f.bytes);
  }
  return changed;
}

SampleBytes SampleModel::encode() const {
  SampleBytes out;
  const auto named = [](const std::string& owner, const SampleBytes& part) {
    SampleBytes renamed;
    size_t done = 0;
    for (const SampleField& f : part.fields()) {
      renamed.raw(std::string_view(part.bytes()).substr(done, f.offset - done));
      uint64_t value = 0;
      std::memcpy(&value, part.bytes().data() + f.offset, f.bytes);
      const std::string what = owner + " " + f.what;
      if (f.bytes == 1) renamed.field(what, uint8_t(value));
      if (f.bytes == 2) renamed.field(what, uint16_t(value));
      if (f.bytes == 4) renamed.field(what, uint32_t(value));
      if (f.bytes == 8) renamed.field(what, value);
      done = f.offset + f.bytes;
    }
    return renamed.raw(std::string_view(part.bytes()).substr(done));
  };
  out.raw("GGUF").field("version", version);
  out.field("n_tensors", n_tensors.value_or(tensors.size())).field("n_keys", n_keys.value_or(keys.size()));
  for (const SampleKey& k : keys) {
    out.field(k.name + " length", uint64_t(k.name.size())).raw(k.name).append(named(k.name, k.value));
  }
  std::vector<uint64_t> offsets;
  uint64_t next = 0;
  for (const SampleTensor& t : tensors) {
    offsets.push_back(t.offset.value_or(next));
    next = round_up(offsets.back() + data_bytes(t), alignment);
    out.field(t.name + " name length", uint64_t(t.name.size())).raw(t.name);
    out.field(t.name + " n_dims", uint32_t(t.dims.size()));
    for (size_t i = 0; i < t.dims.size(); ++i) out.field(t.name + " dim " + std::to_string(i), t.dims[i]);
    out.field(t.name + " type", uint32_t(t.type)).field(t.name + " offset", offsets.back());
  }
  if (tensors.empty()) return out;
  out.pad(alignment);
  std::string data;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t bytes = data_bytes(tensors[i]);
    data.resize(std::max<uint64_t>(data.size(), offsets[i] + bytes), '\0');
    data.replace(offsets[i], tensors[i].data.size(), tensors[i].data);
  }
  return out.raw(data);
}

SampleKey sample_string(std::string name, std::string_view text) {
  SampleBytes b;
  b.field("type", uint32_t(ValueType::string)).text(text);
  return {std::move(name), std::move(b)};
}

SampleKey sample_strings(std::string name, std::span<const std::string> texts) {
  SampleBytes b;
  b.field("type", uint32_t(ValueType::array)).field("element", uint32_t(ValueType::string));
  b.field("count", uint64_t(texts.size()));
  for (const std::string& text : texts) b.text(text);
  return {std::move(name), std::move(b)};
}

SampleKey sample_nested(std::string name, int depth) {
  SampleBytes inner;
  inner.field("inner element", uint32_t(ValueType::u8)).field("inner count", uint64_t(3)).raw("\1\2\3");
  for (int i = 0; i < depth; ++i) {
    SampleBytes outer;
    outer.field("element", uint32_t(ValueType::array)).field("count", uint64_t(2)).append(inner).append(inner);
    inner = outer;
  }
  SampleBytes b;
  b.field("type", uint32_t(ValueType::array)).append(inner);
  return {std::move(name), std::move(b)};
}

SampleKey alignment_key(uint32_t alignment) {
  return sample_number<uint32_t>("general.alignment", ValueType::u32, alignment);
}

SampleModel tiny_model() {
  SampleModel m;
  m.keys = {sample_string("general.architecture", "sample"),
            sample_number<uint32_t>("sample.block_count", ValueType::u32, 2)};
  m.tensors = {{"a.weight", Type::q4_0, {64, 2}}, {"b.weight", Type::f32, {8, 3}}};
  return m;
}

std::vector<SampleModel> good_models() {
  return {tiny_model(), all_values(), all_arrays(), all_types_model(), any_order(), many_small()};
}

}  // namespace linnet

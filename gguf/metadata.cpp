#include "gguf/metadata.h"

#include <array>
#include <cstring>
#include <limits>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

struct TypeRow {
  std::string_view name;
  uint64_t bytes;
};

constexpr std::array<TypeRow, 13> kValueTypes = {{{"u8", 1},
                                                  {"i8", 1},
                                                  {"u16", 2},
                                                  {"i16", 2},
                                                  {"u32", 4},
                                                  {"i32", 4},
                                                  {"f32", 4},
                                                  {"bool", 1},
                                                  {"string", 8},
                                                  {"array", 12},
                                                  {"u64", 8},
                                                  {"i64", 8},
                                                  {"f64", 8}}};

// The smallest pair: a key of one byte {8, 1}, its type, a value of one byte.
constexpr uint64_t kLeastPairBytes = 8 + 1 + 4 + 1;

template <class T>
T load(const std::byte* data, uint64_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

Error truncated(std::string_view key, const Cursor& at, std::string_view what) {
  return fail(Code::gguf_truncated, "the file ends inside {} of key {}, at offset {}; it was cut short", what,
              quoted(key), at.position());
}

Result<std::string_view> read_key(Cursor& at) {
  const uint64_t start = at.position();
  uint64_t length = 0;
  if (!at.read(length)) {
    return fail(Code::gguf_truncated, "the file ends inside the list of keys, at offset {}; it was cut short", start);
  }
  if (length == 0) return fail(Code::gguf_key_empty, "the key at offset {} is empty; expected 1 to 65535 bytes", start);
  std::string_view key;
  if (length > kMaxKeyBytes || !at.read(key, length)) {
    return fail(Code::gguf_key_length, "the key at offset {} claims {} bytes; expected 1 to {}, and {} are left", start,
                length, kMaxKeyBytes, at.remaining());
  }
  if (!utf8_valid(key) || key.find('\0') != std::string_view::npos) {
    return fail(Code::gguf_key_text, "key {} at offset {} is not UTF-8 text without NUL", quoted(key), start);
  }
  return key;
}

struct ArrayHeader {
  ValueType element;
  uint64_t count;
};

Result<ArrayHeader> read_array_header(Cursor& at, std::string_view key) {
  const uint64_t start = at.position();
  uint32_t type = 0;
  uint64_t count = 0;
  if (!at.read(type) || !at.read(count)) return truncated(key, at, "the array");
  const uint64_t bytes = element_bytes(ValueType(type));
  if (bytes == 0) {
    return fail(Code::gguf_array_type, "the array of key {} at offset {} has element type {}; expected 0 to 12",
                quoted(key), start, type);
  }
  if (count > at.remaining() / bytes) {
    return fail(Code::gguf_array_length,
                "the array of key {} at offset {} claims {} elements of type {}, at least {} bytes each; only {} bytes "
                "are left in the file",
                quoted(key), start, count, value_type_name(ValueType(type)), bytes, at.remaining());
  }
  return ArrayHeader{ValueType(type), count};
}

// Moves over `count` elements that are no arrays.
Status skip_run(Cursor& at, std::string_view key, ValueType type, uint64_t count) {
  if (type == ValueType::string) {
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t start = at.position();
      uint64_t length = 0;
      if (!at.read(length)) return truncated(key, at, "a string");
      if (!at.skip(length)) {
        return fail(Code::gguf_string_length, "a string of key {} at offset {} claims {} bytes; only {} are left",
                    quoted(key), start, length, at.remaining());
      }
    }
    return {};
  }
  const std::byte* first = at.here();
  const uint64_t start = at.position();
  // A count that fits was checked for arrays; a scalar comes unchecked, but its count is 1.
  if (!at.skip(count * element_bytes(type))) return truncated(key, at, "the value");
  if (type == ValueType::boolean) {
    for (uint64_t i = 0; i < count; ++i) {
      if (uint8_t(first[i]) > 1) {
        return fail(Code::gguf_bool, "key {}: the bool at offset {} is {}; expected 0 or 1", quoted(key), start + i,
                    uint8_t(first[i]));
      }
    }
  }
  return {};
}

// Moves over the elements of an array, of arrays too, without recursion.
Status skip_array(Cursor& at, std::string_view key, const ArrayHeader& array) {
  std::array<ArrayHeader, kMaxArrayNesting> open;  // what is left of the arrays around the cursor, outermost first
  size_t depth = 1;
  open[0] = array;
  while (depth > 0) {
    ArrayHeader& inner = open[depth - 1];
    if (inner.element != ValueType::array) {
      LINNET_CHECK(skip_run(at, key, inner.element, inner.count));
      --depth;
    } else if (inner.count == 0) {
      --depth;
    } else if (depth == kMaxArrayNesting) {
      return fail(Code::gguf_array_nesting, "key {}: arrays are nested more than {} deep at offset {}", quoted(key),
                  kMaxArrayNesting, at.position());
    } else {
      --inner.count;
      LINNET_TRY(open[depth], read_array_header(at, key));
      ++depth;
    }
  }
  return {};
}

Result<Value> read_pair(Cursor& at) {
  Value value;
  LINNET_TRY(value.key, read_key(at));
  uint32_t type = 0;
  if (!at.read(type)) return truncated(value.key, at, "the type");
  if (element_bytes(ValueType(type)) == 0) {
    return fail(Code::gguf_value_type, "key {} has value type {} at offset {}; expected 0 to 12", quoted(value.key),
                type, at.position() - 4);
  }
  value.type = value.element = ValueType(type);
  value.offset = at.position();
  if (value.type == ValueType::array) {
    LINNET_TRY(const ArrayHeader array, read_array_header(at, value.key));
    value.element = array.element;
    value.count = array.count;
    value.data = at.here();
    LINNET_CHECK(skip_array(at, value.key, array));
  } else {
    value.data = at.here();
    LINNET_CHECK(skip_run(at, value.key, value.type, 1));
  }
  value.bytes = uint64_t(at.here() - value.data);
  return value;
}

}  // namespace

std::string_view value_type_name(ValueType type) {
  return uint32_t(type) < kValueTypes.size() ? kValueTypes[uint32_t(type)].name : "unknown";
}

uint64_t element_bytes(ValueType type) {
  return uint32_t(type) < kValueTypes.size() ? kValueTypes[uint32_t(type)].bytes : 0;
}

Result<std::vector<Value>> read_metadata(Cursor& at, uint64_t count) {
  if (count > kMaxKeys || count > at.remaining() / kLeastPairBytes) {
    return fail(Code::gguf_kv_count, "the header claims {} keys; at most {} are accepted, and {} bytes are left", count,
                kMaxKeys, at.remaining());
  }
  std::vector<Value> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    LINNET_TRY(Value value, read_pair(at));
    values.push_back(value);
  }
  return values;
}

Result<uint64_t> unsigned_integer(const Value& value) {
  if (value.type == ValueType::array || !value.is_integer()) {
    return fail(Code::gguf_key_type, "key {} at offset {} has type {}; expected an integer", quoted(value.key),
                value.offset, value_type_name(value.type));
  }
  if (value.type == ValueType::u64) return load<uint64_t>(value.data, 0);
  if (value.integer() < 0) {
    return fail(Code::gguf_value_range, "key {} at offset {} is {}; expected no negative number", quoted(value.key),
                value.offset, value.integer());
  }
  return uint64_t(value.integer());
}

bool Value::is_integer() const {
  switch (element) {
    case ValueType::f32:
    case ValueType::f64:
    case ValueType::boolean:
    case ValueType::string:
    case ValueType::array:
      return false;
    default:
      return true;
  }
}

bool Value::is_number() const { return is_integer() || element == ValueType::f32 || element == ValueType::f64; }

int64_t Value::integer(uint64_t i) const {
  switch (element) {
    case ValueType::u8:
    case ValueType::boolean:
      return load<uint8_t>(data, i);
    case ValueType::i8:
      return load<int8_t>(data, i);
    case ValueType::u16:
      return load<uint16_t>(data, i);
    case ValueType::i16:
      return load<int16_t>(data, i);
    case ValueType::u32:
      return load<uint32_t>(data, i);
    case ValueType::i32:
      return load<int32_t>(data, i);
    case ValueType::i64:
      return load<int64_t>(data, i);
    case ValueType::u64: {
      const uint64_t value = load<uint64_t>(data, i);
      return value > uint64_t(std::numeric_limits<int64_t>::max()) ? std::numeric_limits<int64_t>::max()
                                                                   : int64_t(value);
    }
    default:
      return 0;
  }
}

double Value::number(uint64_t i) const {
  if (element == ValueType::f32) return double(load<float>(data, i));
  if (element == ValueType::f64) return load<double>(data, i);
  if (element == ValueType::u64) return double(load<uint64_t>(data, i));
  return double(integer(i));
}

bool Value::boolean() const { return element == ValueType::boolean && load<uint8_t>(data, 0) != 0; }

std::string_view Value::string() const {
  if (type != ValueType::string) return {};
  return {reinterpret_cast<const char*>(data) + 8, size_t(load<uint64_t>(data, 0))};
}

std::vector<std::string_view> Value::strings() const {
  std::vector<std::string_view> all;
  if (element != ValueType::string) return all;
  all.reserve(count);
  const std::byte* at = data;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t length = load<uint64_t>(at, 0);
    all.emplace_back(reinterpret_cast<const char*>(at) + 8, size_t(length));
    at += 8 + length;
  }
  return all;
}

}  // namespace linnet

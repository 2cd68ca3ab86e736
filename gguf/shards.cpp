#include "gguf/shards.h"

#include <algorithm>
#include <charconv>

#include "gguf/base/utf8.h"
#include "gguf/metadata.h"

namespace linnet {
namespace {

constexpr std::string_view kNumber = "split.no", kCount = "split.count", kTensors = "split.tensors.count";

// Exactly five digits.
std::optional<uint32_t> five_digits(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 5 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<std::optional<uint64_t>> optional_integer(const Container& file, std::string_view key) {
  const Value* value = file.find(key);
  if (value == nullptr) return std::optional<uint64_t>();
  LINNET_TRY(const uint64_t number, unsigned_integer(*value));
  return std::optional(number);
}

bool same_value(const Value& a, const Value& b) {
  return a.type == b.type && a.element == b.element && a.count == b.count && a.bytes == b.bytes &&
         std::equal(a.data, a.data + a.bytes, b.data);
}

}  // namespace

std::optional<ShardName> parse_shard_name(std::string_view path) {
  constexpr std::string_view form = "-00001-of-00001.gguf";
  if (path.size() <= form.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - form.size());
  const auto number = five_digits(tail.substr(1, 5)), count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf" || !number || !count) {
    return std::nullopt;
  }
  return ShardName{std::string(path.substr(0, path.size() - form.size())), *number, *count};
}

std::string shard_path(const ShardName& first, uint32_t number) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", first.stem, number, first.count);
}

Result<SplitKeys> split_keys(const Container& file) {
  SplitKeys keys;
  LINNET_TRY(const std::optional<uint64_t> number, optional_integer(file, kNumber));
  LINNET_TRY(const std::optional<uint64_t> count, optional_integer(file, kCount));
  LINNET_TRY(keys.tensors, optional_integer(file, kTensors));
  keys.number = number.value_or(0);
  keys.count = count.value_or(0);
  return keys;
}

Status check_shard(const Container& shard, uint32_t number, uint32_t count, const Container& first) {
  LINNET_TRY(const SplitKeys keys, split_keys(shard));
  LINNET_TRY(const SplitKeys first_keys, split_keys(first));
  if (keys.count != count) {
    return fail(Code::gguf_split_count, "{} is {}, but the file name says {} parts; was it renamed?", kCount,
                keys.count, count);
  }
  if (shard.find(kNumber) == nullptr || keys.number != number) {
    return fail(Code::gguf_split_number, "{} is {}, but the file name says part {} (counted from 0); was it renamed?",
                kNumber, keys.number, number);
  }
  if (!keys.tensors) return fail(Code::gguf_split_tensor_count, "a part of a split model needs the key {}", kTensors);
  if (keys.tensors != first_keys.tensors) {
    return fail(Code::gguf_split_mixed, "{} is {} here and {} in the first part; these are parts of different models",
                kTensors, *keys.tensors, first_keys.tensors.value_or(0));
  }
  for (const Value& value : shard.values) {
    if (value.key == kNumber || value.key == kChecksumKey) continue;
    const Value* other = first.find(value.key);
    if (other != nullptr && !same_value(value, *other)) {
      return fail(Code::gguf_split_mixed,
                  "key {} at offset {} has another value than in the first part; these are parts of different models",
                  quoted(value.key), value.offset);
    }
  }
  return {};
}

}  // namespace linnet

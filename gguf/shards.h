// Split models: files NAME-00001-of-0000N.gguf that belong together.
//
// Every file carries split.no (from 0), split.count (N) and split.tensors.count (tensors of all files together); the
// first carries the model's other keys. A file merged again has split.count 0 and is whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "gguf/container.h"

namespace linnet {

struct ShardName {
  std::string stem;     // the path before "-00001-of-0000N.gguf"
  uint32_t number = 1;  // from 1, as in the name
  uint32_t count = 1;
};

// nullopt for a name of another form.
std::optional<ShardName> parse_shard_name(std::string_view path);
std::string shard_path(const ShardName& first, uint32_t number);

// What a file's own keys say. Absent keys: number 0, count 0, no tensor count.
struct SplitKeys {
  uint64_t number = 0;
  uint64_t count = 0;
  std::optional<uint64_t> tensors;
};
Result<SplitKeys> split_keys(const Container& file);

// Checks one shard against its name (number from 0, count from the name) and against the first shard: the same number
// of tensors in all, and no key with another value than there.
Status check_shard(const Container& shard, uint32_t number, uint32_t count, const Container& first);

}  // namespace linnet

// How one kind of vocabulary makes ordinary text, without special tokens in it, tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

// Immutable, so usable from any thread.
class TextModel {
 public:
  virtual ~TextModel() = default;
  // Appends the tokens of a text (at most 1 GiB). Returns the steps of work done, each of bounded cost: what the tests
  // of complexity count.
  virtual uint64_t encode(std::string_view text, std::vector<int32_t>& out) const = 0;
};

}  // namespace linnet

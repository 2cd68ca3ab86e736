// What the sampler needs to know of a tokenizer; runtime implements it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

class SamplingVocabulary {
 public:
  virtual ~SamplingVocabulary() = default;
  virtual int32_t size() const = 0;
  // The bytes a token stands for when generated (empty for control tokens). Valid as long as the vocabulary.
  virtual std::string_view bytes(int32_t token) const = 0;
  virtual bool is_eog(int32_t token) const = 0;
  // Tokens of a text, no BOS added, special tokens not parsed.
  virtual std::vector<int32_t> tokenize(std::string_view text) const = 0;
  // The token whose text in the vocabulary is this, control tokens included; -1: none, or there are no such texts.
  virtual int32_t find_token(std::string_view /*piece*/) const { return -1; }
};

// Tokens without texts: for logits of which nothing but their number is known.
class PlainVocabulary : public SamplingVocabulary {
 public:
  explicit PlainVocabulary(int32_t size) : size_(size) {}
  int32_t size() const override { return size_; }
  std::string_view bytes(int32_t) const override { return {}; }
  bool is_eog(int32_t) const override { return false; }
  std::vector<int32_t> tokenize(std::string_view) const override { return {}; }

 private:
  int32_t size_;
};

}  // namespace linnet

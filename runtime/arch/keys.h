// Reads an architecture's hyperparameters ("llama.block_count", ...) with their ranges checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"

namespace linnet {

class Keys {
 public:
  Keys(const Gguf& file, std::string_view architecture) : file_(file), architecture_(architecture) {}

  std::string name(std::string_view key) const { return architecture_ + "." + std::string(key); }
  bool has(std::string_view key) const { return file_.find(name(key)) != nullptr; }
  // Whole numbers in [low, high]; an error names key, value and range. The *_or forms allow the key to be absent.
  Result<int64_t> integer(std::string_view key, int64_t low, int64_t high) const;
  Result<int64_t> integer_or(std::string_view key, int64_t otherwise, int64_t low, int64_t high) const;
  // Finite numbers in [low, high].
  Result<double> number_or(std::string_view key, double otherwise, double low, double high) const;
  Result<double> number(std::string_view key, double low, double high) const;
  Result<bool> boolean_or(std::string_view key, bool otherwise) const;
  // A number for each of `layers` layers: an array of so many, or one for all.
  Result<std::vector<int64_t>> per_layer(std::string_view key, int64_t layers, int64_t low, int64_t high) const;
  Result<std::string_view> string_or(std::string_view key, std::string_view otherwise) const;
  const Gguf& file() const { return file_; }
  const std::string& architecture() const { return architecture_; }

 private:
  const Gguf& file_;
  std::string architecture_;
};

}  // namespace linnet

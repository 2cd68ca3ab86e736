// A tokenizer with the file it points into.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/tokenizer.h"
#include "tests/runtime/sample_vocabulary.h"

namespace linnet {

using Ids = std::vector<int32_t>;

struct Loaded {
  std::string bytes;
  std::optional<Gguf> gguf;
  std::optional<Tokenizer> tokenizer;
  std::string error;
  Code code = Code::ok;

  explicit Loaded(const VocabularyFile& file) : bytes(file.bytes()) { finish(Gguf::parse(as_bytes(bytes))); }
  explicit Loaded(const std::string& path) { finish(Gguf::open(path)); }
  Loaded(const Loaded&) = delete;
  const Tokenizer& operator*() const { return *tokenizer; }
  const Tokenizer* operator->() const { return &*tokenizer; }

 private:
  void finish(Result<Gguf> opened) {
    if (!opened) {
      error = opened.error().message;
      return;
    }
    gguf.emplace(*std::move(opened));
    auto loaded = Tokenizer::load(*gguf);
    if (!loaded) {
      error = loaded.error().message;
      code = loaded.error().code;
      return;
    }
    tokenizer.emplace(*std::move(loaded));
  }
};

inline Ids encode(const Tokenizer& t, std::string_view text, EncodeOptions options = {}) {
  auto tokens = t.encode(text, options);
  EXPECT_TRUE(tokens) << tokens.error().message;
  return tokens ? *tokens : Ids();
}

// The tokens' texts, separated by spaces.
inline std::string pieces(const Tokenizer& t, const Ids& ids) {
  std::string text;
  for (const int32_t id : ids) text += (text.empty() ? "" : " ") + std::string(t.piece(id));
  return text;
}

}  // namespace linnet

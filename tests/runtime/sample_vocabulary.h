// Small vocabularies as GGUF files in memory, for tests that change or damage them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/utf8.h"
#include "gguf/reader.h"
#include "runtime/byte_alphabet.h"

namespace linnet {

// The metadata of a GGUF v3 file without tensors; setting a key again replaces it.
class VocabularyFile {
 public:
  void set(std::string_view key, std::string_view text) { put(key, ValueType::string, string(text)); }
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, bool value) { put(key, ValueType::boolean, std::string(1, char(value))); }
  void set(std::string_view key, uint32_t value) { put(key, ValueType::u32, raw(value)); }
  void set(std::string_view key, int32_t value) { put(key, ValueType::i32, raw(value)); }
  void set(std::string_view key, int64_t value) { put(key, ValueType::i64, raw(value)); }
  void set(std::string_view key, const std::vector<std::string>& values) {
    std::string all = raw(uint32_t(ValueType::string)) + raw(uint64_t(values.size()));
    for (const std::string& value : values) all += string(value);
    put(key, ValueType::array, all);
  }
  void set(std::string_view key, const std::vector<float>& v) { array(key, ValueType::f32, v); }
  void set(std::string_view key, const std::vector<int32_t>& v) { array(key, ValueType::i32, v); }
  void set(std::string_view key, const std::vector<uint8_t>& v) { array(key, ValueType::u8, v); }
  void remove(std::string_view key) {
    std::erase_if(pairs_, [&](const auto& pair) { return pair.first == key; });
  }

  std::string bytes() const {
    std::string out = "GGUF" + raw(uint32_t(3)) + raw(uint64_t(0)) + raw(uint64_t(pairs_.size()));
    for (const auto& [key, value] : pairs_) out += string(key) + value;
    return out + std::string((32 - out.size() % 32) % 32, '\0');
  }

  // What the sample vocabularies are made of; finish() writes them into the keys.
  std::vector<std::string> tokens, merges;
  std::vector<float> scores;
  std::vector<int32_t> kinds;
  void add(std::string text, int32_t kind = 1, float score = 0) {
    tokens.push_back(std::move(text));
    kinds.push_back(kind);
    scores.push_back(score);
  }
  void finish() {
    set("tokenizer.ggml.tokens", tokens);
    set("tokenizer.ggml.token_type", kinds);
    if (!merges.empty()) set("tokenizer.ggml.merges", merges);
    if (merges.empty()) set("tokenizer.ggml.scores", scores);
  }

 private:
  template <class T>
  static std::string raw(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
  }
  static std::string string(std::string_view text) { return raw(uint64_t(text.size())).append(text); }
  template <class T>
  void array(std::string_view key, ValueType type, const std::vector<T>& values) {
    std::string all = raw(uint32_t(type)) + raw(uint64_t(values.size()));
    for (const T value : values) all += raw(value);
    put(key, ValueType::array, all);
  }
  void put(std::string_view key, ValueType type, const std::string& value) {
    remove(key);
    pairs_.emplace_back(key, raw(uint32_t(type)) + value);
  }

  std::vector<std::pair<std::string, std::string>> pairs_;
};

// SentencePiece: byte tokens, some words with their parts, a control and a user-defined token.
inline VocabularyFile sample_spm() {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "llama");
  file.add("<unk>", 2);
  file.add("<s>", 3);
  file.add("</s>", 3);
  for (int b = 0; b < 256; ++b) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", b);
    file.add(text, 6);
  }
  const char* pieces[] = {"▁▁",   "he", "ll",    "llo",    "hello", "▁hello", "▁h",       "▁w",   "or",
                          "wor",  "ld", "world", "▁world", "aa",    "aaaa",   "aaaaaaaa", "▁▁▁▁", "🦙🦙",
                          "日本", "in", "▁in",   "ing",    "th",    "▁th",    "▁the"};
  float score = 0;
  for (const char* piece : pieces) file.add(piece, 1, score -= 1);
  const char* characters[] = {"▁", "e", "t", "a", "o",  "i", "n",  "h",  "l",
                              "w", "r", "d", "g", "\n", "é", "日", "本", "🦙"};
  for (const char* character : characters) file.add(character, 1, score -= 1);
  file.add("<|im_end|>", 3);
  file.add("<|im_start|>", 3);
  file.add("<tool>", 4);
  file.add("<tool>x", 4);
  file.finish();
  return file;
}

// Writes bytes in the alphabet of byte-level BPE.
inline std::string byte_letters(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) utf8_append(out, kByteAlphabet.character[uint8_t(c)]);
  return out;
}

// Byte-level BPE: 256 letters, some merges, a control and a user-defined token.
inline VocabularyFile sample_bpe(const char* pre = "gpt-2") {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", pre);
  for (int b = 0; b < 256; ++b) file.add(byte_letters(std::string(1, char(b))));
  const std::pair<const char*, const char*> merges[] = {
      {"h", "e"},   {"l", "l"},       {"he", "ll"},         {"hell", "o"},   {" ", "w"},       {"o", "r"},
      {" w", "or"}, {" wor", "l"},    {"a", "a"},           {"aa", "aa"},    {"aaaa", "aaaa"}, {" ", " "},
      {"  ", "  "}, {"\xf0", "\x9f"}, {"\xf0\x9f", "\xa6"}, {"1", "2"},      {"12", "3"},      {"i", "n"},
      {"in", "g"},  {"n", "g"},       {"'", "s"},           {"\xc3", "\xa9"}};
  for (const auto& [left, right] : merges) {
    file.merges.push_back(byte_letters(left) + " " + byte_letters(right));
    file.add(byte_letters(std::string(left) + right));
  }
  file.add(byte_letters(" whole"));  // reached by no merge
  file.add("<|endoftext|>", 3);
  file.add("<|im_end|>", 3);
  file.add("<tool>", 4);
  file.set("tokenizer.ggml.eos_token_id", uint32_t(file.tokens.size() - 3));
  file.finish();
  return file;
}

// BPE of characters, as Gemma 4 has it: U+2581 for the space, byte tokens for what has none.
inline VocabularyFile sample_gemma4() {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "gemma4");
  file.add("<unk>", 2);
  file.add("<bos>", 3);
  file.set("tokenizer.ggml.bos_token_id", 1u);
  for (int b = 0; b < 256; ++b) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", b);
    file.add(text, b % 2 == 0 ? 6 : 1);  // converters mark them as ordinary
  }
  for (const char* character :
       {"▁", "h", "e", "l", "o", "w", "r", "d", "a", "é", "日", "本", "🦙", "\n", "i", "n", "g"}) {
    file.add(character);
  }
  const std::pair<const char*, const char*> merges[] = {
      {"h", "e"},       {"l", "l"},    {"he", "ll"}, {"hell", "o"}, {"▁", "w"},   {"o", "r"},
      {"▁w", "or"},     {"▁wor", "l"}, {"a", "a"},   {"aa", "aa"},  {"▁", "▁"},   {"▁▁", "▁▁"},
      {"🦙", "🦙"}, {"日", "本"},  {"i", "n"},   {"in", "g"},   {"\n", "\n"}, {"o", "▁"}};
  for (const auto& [left, right] : merges) {
    file.merges.push_back(std::string(left) + " " + right);
    file.add(std::string(left) + right);
  }
  file.add("\n\n\n");  // reached by no merge
  file.add("<|im_end|>", 3);
  file.add("<tool>", 4);
  file.finish();
  return file;
}

// WordPiece: the beginnings of words have U+2581, their continuations nothing.
inline VocabularyFile sample_wordpiece() {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "bert");
  for (const char* text : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) file.add(text, text[1] == 'U' ? 2 : 3);
  for (const char* text : {"▁un", "▁u",   "▁aff", "▁a",  "▁hello", "▁world", "▁!", "▁,",     "▁.", "▁?", "▁日", "▁本",
                           "▁'",  "▁don", "▁t",   "▁ᄀ", "▁i",     "▁é",     "▁$", "▁b",     "▁İ", "n",  "a",   "b",
                           "aff", "able", "ab",   "le",  "s",      "ᅡ",     "ᆨ", "\u0307", "É",  "▁É"}) {
    file.add(text);
  }
  file.add("<tool>", 4);
  file.finish();
  return file;
}

// Unigram: scores are log probabilities.
inline VocabularyFile sample_unigram() {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "t5");
  file.add("<pad>", 3);
  file.add("</s>", 3);
  file.add("<unk>", 2);
  const std::pair<const char*, float> pieces[] = {
      {"▁", -3},   {"a", -4},   {"b", -4.5f},   {"ab", -5},     {"▁a", -4}, {"▁ab", -6},   {"ba", -6.5f},
      {"aba", -8}, {"▁▁", -5},  {"h", -6},      {"e", -5},      {"l", -5},  {"o", -5},     {"he", -7},
      {"ll", -7},  {"llo", -8}, {"▁he", -6},    {"▁hello", -7}, {"日", -9}, {"日本", -10}, {"w", -6},
      {"or", -6},  {"ld", -6},  {"▁world", -9}, {"d", -6},      {"r", -6},  {"1", -7},     {"ﬁ", -9}};
  for (const auto& [text, score] : pieces) file.add(text, 1, score);
  file.add("<tool>", 4);
  file.set("tokenizer.ggml.add_space_prefix", true);
  file.set("tokenizer.ggml.remove_extra_whitespaces", true);
  file.finish();
  return file;
}

// RWKV: the texts are escaped.
inline VocabularyFile sample_rwkv() {
  VocabularyFile file;
  file.set("tokenizer.ggml.model", "rwkv");
  file.add("<s>", 3);
  const char* digits = "0123456789abcdef";
  for (int b = 0; b < 256; ++b) {
    const bool plain = b > 0x20 && b < 0x7f && b != '\\';
    file.add(plain ? std::string(1, char(b)) : std::string("\\x") + digits[b / 16] + digits[b % 16]);
  }
  for (const char* text : {"he", "hell", "hello", " wo", "  ", "    ", "\\n\\n", "\\r\\n", "\\t\\t", "\\\\\\\\",
                           "\\'s\"", "\\xe6\\x97\\xa5", "\\xe6\\x97", "aa", "aaaa"}) {
    file.add(text);
  }
  file.add("<|im_end|>", 3);
  file.add("<tool>", 4);
  file.finish();
  return file;
}

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace linnet

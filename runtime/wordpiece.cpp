#include "runtime/wordpiece.h"

#include "gguf/base/utf8.h"
#include "runtime/unicode.h"

namespace linnet {
namespace {

// Characters that stand alone: Han, but neither kana nor Hangul. (2B820 to 2B91F are left out in Hugging Face's table.)
bool is_ideograph(uint32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// Of the control characters that are white space, only these three separate words; the others are dropped too.
bool is_dropped(uint32_t c, CharClass cls) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  return c == 0xfffd || cls == CharClass::control || c == 0x0b || c == 0x0c || c == 0x85;
}

bool stands_alone(uint32_t c, CharClass cls) {
  return is_punctuation_class(cls) || (c < 0x80 && cls == CharClass::symbol);
}

}  // namespace

struct WordPiece::Work {
  std::vector<int32_t>& out;
  std::string word;  // U+2581, then the characters so far
  size_t characters = 0;
  uint64_t steps = 0;
};

Result<WordPiece> WordPiece::load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown) {
  LINNET_TRY(const bool lowercase, gguf.boolean_or("tokenizer.ggml.normalizer.lowercase", true));
  LINNET_TRY(const bool strip, gguf.boolean_or("tokenizer.ggml.normalizer.strip_accents", lowercase));
  return WordPiece(vocabulary, unknown, lowercase, strip);
}

void WordPiece::end_word(Work& work) const {
  if (work.characters == 0) return;
  const size_t first = work.out.size();
  bool written = work.characters <= kMaxWordCharacters;
  for (size_t at = 0; written && at < work.word.size();) {
    int32_t longest = -1;
    size_t end = at;
    vocabulary_->each_prefix(std::string_view(work.word).substr(at), [&](int32_t id, size_t bytes) {
      // The first token has a character after U+2581.
      if (!vocabulary_->textual(id) || (at == 0 && bytes <= kSpmSpace.size())) return;
      longest = id;
      end = at + bytes;
    });
    work.steps += work.word.size() - at;
    written = longest >= 0;
    work.out.push_back(longest);
    at = end;
  }
  if (!written) {
    work.out.resize(first);
    if (unknown_ >= 0) work.out.push_back(unknown_);
  }
  work.word.clear();
  work.characters = 0;
}

void WordPiece::character(Work& work, uint32_t c) const {
  ++work.steps;
  const CharClass cls = char_class(c);
  const bool alone = stands_alone(c, cls);
  if (cls == CharClass::space || alone) end_word(work);
  if (cls == CharClass::space) return;
  if (work.characters == 0) work.word = kSpmSpace;
  // A word that is too long is unknown, whatever follows.
  if (++work.characters <= kMaxWordCharacters) {
    if (lowercase_ && c == 0x130) {
      work.word += "i\u0307";  // the one lowercase form of two characters
    } else {
      utf8_append(work.word, lowercase_ ? lowercase(c) : c);
    }
  }
  if (alone) end_word(work);
}

uint64_t WordPiece::encode(std::string_view text, std::vector<int32_t>& out) const {
  Work work{.out = out};
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_decode(text, at);
    at += c.bytes;
    ++work.steps;
    if (!c.valid || is_dropped(c.code_point, char_class(c.code_point))) continue;
    const bool ideograph = is_ideograph(c.code_point);
    if (ideograph) end_word(work);
    if (strip_accents_) {
      const Letters letters = without_marks(c.code_point);
      for (uint32_t i = 0; i < letters.count; ++i) character(work, letters.code_points[i]);
    } else {
      character(work, c.code_point);
    }
    if (ideograph) end_word(work);
  }
  end_word(work);
  return work.steps;
}

}  // namespace linnet

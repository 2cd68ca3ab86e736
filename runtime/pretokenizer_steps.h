// The steps that pre-tokenizers are made of: matchers, which say where a pattern that begins at a place ends, and
// steps, which cut a piece of text into smaller ones.
//
// A matcher's `match(piece, at)` gives the end of the match that begins at byte `at`, or `at` if there is none. Its
// pattern stands above it, as published (in the syntax of Oniguruma); where several alternatives match, the first one
// counts, as in a backtracking matcher. A step's `cut(piece, emit)` calls emit(part) for every part, in order. Both
// are written by hand, as the patterns look ahead: linear time, no recursion, any bytes (a sequence that is not UTF-8
// counts as one unassigned character).
#pragma once

#include <algorithm>
#include <iterator>

#include "runtime/text_piece.h"

namespace linnet::steps {

inline bool is_letter(const Char& c) { return is_letter_class(c.cls); }
inline bool is_mark(const Char& c) { return is_mark_class(c.cls); }
inline bool is_number(const Char& c) { return is_number_class(c.cls); }
inline bool is_punctuation(const Char& c) { return is_punctuation_class(c.cls); }
inline bool is_space(const Char& c) { return c.cls == CharClass::space; }
inline bool is_newline(const Char& c) { return c.code_point == '\r' || c.code_point == '\n'; }
inline bool is_decimal(const Char& c) { return c.cls == CharClass::digit; }  // \d
inline bool is_ascii_digit(const Char& c) { return c.code_point >= '0' && c.code_point <= '9'; }
// [^\s\p{L}\p{N}]
inline bool is_sign(const Char& c) { return c.present && !is_space(c) && !is_letter(c) && !is_number(c); }
// [\p{P}!-/:-@\[-`{-~]: the "Punctuation" of Hugging Face's tokenizers
inline bool is_punctuation_or_ascii(const Char& c) {
  return is_punctuation(c) || (c.cls == CharClass::symbol && c.code_point < 0x80);
}

inline bool in_range(uint32_t first, uint32_t last, const Char& c) {
  return c.code_point >= first && c.code_point <= last;
}
// Whether the code point lies in one of the ranges, which are ascending.
template <size_t n>
bool in_ranges(const uint32_t (&ranges)[n][2], uint32_t code_point) {
  const auto* const range = std::lower_bound(std::begin(ranges), std::end(ranges), code_point,
                                             [](const uint32_t(&r)[2], uint32_t value) { return r[1] < value; });
  return range != std::end(ranges) && code_point >= (*range)[0];
}

// ---- matchers ----

// 's|'t|'re|'ve|'m|'ll|'d; without regard to case, U+017F (long s) is an s.
inline size_t contraction(const Piece& p, size_t at, bool any_case) {
  if (at >= p.size() || p.text()[at] != '\'') return at;
  const auto letter = [&](size_t i) -> char {
    const Char c = p.at(i);
    if (any_case && c.code_point == 0x17f) return 's';
    if (c.code_point >= 0x80) return 0;
    return any_case && is_letter(c) ? char(c.code_point | 0x20) : char(c.code_point);
  };
  const char first = letter(at + 1);
  if (first == 's') return p.at(at + 1).end;
  if (first == 't' || first == 'm' || first == 'd') return at + 2;
  if (first != 'r' && first != 'v' && first != 'l') return at;
  return letter(at + 2) == (first == 'l' ? 'l' : 'e') ? at + 3 : at;
}

// \s+(?!\S)|\s+: white space, but of several characters the last is left to what follows.
inline size_t spaces(const Piece& p, size_t at) {
  size_t last = at, end = at;
  Char c = p.at(at);
  for (; is_space(c); c = p.at(end)) {
    last = end;
    end = c.end;
  }
  return !c.present || last == at ? end : last;
}

// \s*[\r\n]+|\s+(?!\S)|\s+: to the last newline of the white space, if there is one.
inline size_t lines_or_spaces(const Piece& p, size_t at) {
  size_t newlines_end = at, end = at;
  for (Char c = p.at(at); is_space(c); c = p.at(end)) {
    end = c.end;
    if (is_newline(c)) newlines_end = end;
  }
  return newlines_end != at ? newlines_end : spaces(p, at);
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
struct Gpt2 {
  static size_t match(const Piece& p, size_t at) {
    if (const size_t end = contraction(p, at, false); end != at) return end;
    const size_t start = p.text()[at] == ' ' ? at + 1 : at;
    const Char c = p.at(start);
    if (!c.present || is_space(c)) return spaces(p, at);
    return p.run(c.end, is_letter(c) ? is_letter : is_number(c) ? is_number : is_sign);
  }
};

// Where \p{L}+ stands in the patterns that follow the one of Llama 3. X is [^\r\n\p{L}\p{N}].
enum class Word {
  letters,            // X?\p{L}+
  letters_and_marks,  // X?[\p{L}\p{M}]+
  phrases,            // X?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
  cased,              // X?U*L+|X?U+L*, U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]
  cased_not_han,      // [\p{Han}]+, and then the same without \p{Han} in U and L
};
enum class Contraction { none, first, last };  // (?i:'s|'t|'re|'ve|'m|'ll|'d): none, before words, or at their end
enum class Tail { none, newlines, newlines_and_slashes, newline_or_slash };  // nothing, [\r\n]*, [\r\n/]*, [\r\n/]?

struct Rules {
  Contraction contraction = Contraction::first;
  Word word = Word::letters;
  int digits = 3;  // at most so many in \p{N}{1,digits}; 0: any number
  Tail tail = Tail::newlines;
};

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// with the changes that the rules say. (With marks in words, [^\s\p{L}\p{N}] has none: [^\s\p{L}\p{M}\p{N}].)
template <Rules R>
struct Words {
  static size_t match(const Piece& p, size_t at) {
    if constexpr (R.contraction == Contraction::first) {
      if (const size_t end = contraction(p, at, true); end != at) return end;
    }
    const Char c = p.at(at);
    if (excluded(c)) return p.run(c.end, excluded);
    if (const size_t end = word(p, at, c); end != at) {
      return R.contraction == Contraction::last ? contraction(p, end, true) : end;
    }
    if (is_number(c)) {
      if (R.digits == 0) return p.run(c.end, is_number);
      size_t end = c.end;
      for (int digits = 1; digits < R.digits; ++digits) {
        const Char next = p.at(end);
        if (!is_number(next)) break;
        end = next.end;
      }
      return end;
    }
    if (in_signs(c)) return tail(p, p.run(c.end, in_signs));
    if (c.code_point == ' ' && in_signs(p.at(c.end))) return tail(p, p.run(c.end, in_signs));
    return lines_or_spaces(p, at);
  }

 private:
  static constexpr bool kCased = R.word == Word::cased || R.word == Word::cased_not_han;

  static bool in_signs(const Char& c) { return is_sign(c) && !(R.word == Word::letters_and_marks && is_mark(c)); }
  static bool in_word(const Char& c) { return is_letter(c) || (R.word == Word::letters_and_marks && is_mark(c)); }
  static bool excluded(const Char& c) { return R.word == Word::cased_not_han && is_han(c.code_point); }
  static bool in_upper(const Char& c) {
    return (c.cls == CharClass::upper || c.cls == CharClass::uncased || is_mark(c)) && !excluded(c);
  }
  static bool in_lower(const Char& c) {
    return (c.cls == CharClass::lower || c.cls == CharClass::uncased || is_mark(c)) && !excluded(c);
  }

  static size_t word(const Piece& p, size_t at, const Char& c) {
    const bool lead = !is_newline(c) && !is_letter(c) && !is_number(c);  // c may be the X
    if constexpr (kCased) {
      for (const auto& part : {lower_end, upper_end}) {
        if (lead) {
          if (const size_t end = part(p, c.end); end != c.end) return end;
        }
        if (const size_t end = part(p, at); end != at) return end;
      }
      return at;
    } else {
      if (in_word(c)) return word_end(p, c.end);
      if (!lead) return at;
      const Char next = p.at(c.end);
      return in_word(next) ? word_end(p, next.end) : at;
    }
  }

  // The end of a word whose first letter ends at `end`.
  static size_t word_end(const Piece& p, size_t end) {
    if (R.word != Word::phrases) return p.run(end, in_word);
    for (;;) {
      end = p.run(end, is_mark);
      const Char c = p.at(end);
      const Char letter = c.code_point == ' ' ? p.at(c.end) : c;
      if (!is_letter(letter)) return end;
      end = letter.end;
    }
  }

  // U*L+: as many U as there are, of which the last that are in L too may have to be given back.
  static size_t lower_end(const Piece& p, size_t at) {
    size_t end = at, last_in_both = at;
    Char c = p.at(at);
    for (; in_upper(c); c = p.at(end)) {
      end = c.end;
      if (in_lower(c)) last_in_both = end;
    }
    return in_lower(c) ? p.run(end, in_lower) : last_in_both;
  }
  // U+L*
  static size_t upper_end(const Piece& p, size_t at) {
    const size_t end = p.run(at, in_upper);
    return end == at ? at : p.run(end, in_lower);
  }

  static size_t tail(const Piece& p, size_t at) {
    const auto slash = [](const Char& c) { return c.present && (is_newline(c) || c.code_point == '/'); };
    switch (R.tail) {
      case Tail::newlines:
        return p.run(at, is_newline);
      case Tail::newlines_and_slashes:
        return p.run(at, slash);
      case Tail::newline_or_slash:
        return slash(p.at(at)) ? p.at(at).end : at;
      case Tail::none:
        break;
    }
    return at;
  }
};

// [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
//   |\s*[\r\n]+|\s+(?!\S)|\s+
// `lines` false: without [\r\n]* after the signs, and [\r\n] for \s*[\r\n]+.
template <bool lines>
struct DeepseekWords {
  static size_t match(const Piece& p, size_t at) {
    const Char c = p.at(at);
    const Char next = p.at(c.end);
    if (c.code_point < 0x80 && in_signs(c) && is_ascii_letter(next)) return p.run(next.end, is_ascii_letter);
    if (in_word(c)) return p.run(c.end, in_word);
    if (!in_signs(c) && !is_newline(c) && in_word(next)) return p.run(next.end, in_word);
    if (in_signs(c) || (c.code_point == ' ' && in_signs(next))) {
      const size_t end = p.run(c.end, in_signs);
      return lines ? p.run(end, is_newline) : end;
    }
    if (lines) return lines_or_spaces(p, at);
    return is_newline(c) ? c.end : spaces(p, at);
  }

 private:
  static bool is_ascii_letter(const Char& c) { return c.code_point < 0x80 && is_letter(c); }
  static bool in_word(const Char& c) { return is_letter(c) || is_mark(c); }
  static bool in_signs(const Char& c) { return is_punctuation(c) || c.cls == CharClass::symbol; }
};

//  ?[^(\s|[.,!?…。，、।۔،])]+
struct Bloom {
  static size_t match(const Piece& p, size_t at) {
    const size_t start = p.text()[at] == ' ' ? at + 1 : at;
    const size_t end = p.run(start, in);
    return end == start ? at : end;
  }

 private:
  static bool in(const Char& c) {
    static constexpr uint32_t kBreaks[][2] = {{'!', '!'},     {'(', ')'},       {',', ','},       {'.', '.'},
                                              {'?', '?'},     {'|', '|'},       {0x60c, 0x60c},   {0x6d4, 0x6d4},
                                              {0x964, 0x964}, {0x2026, 0x2026}, {0x3001, 0x3002}, {0xff0c, 0xff0c}};
    return !is_space(c) && !in_ranges(kBreaks, c.code_point);
  }
};

// [in]+
template <auto in>
struct Run {
  static size_t match(const Piece& p, size_t at) { return p.run(at, in); }
};
// [in]
template <auto in>
struct One {
  static size_t match(const Piece& p, size_t at) {
    const Char c = p.at(at);
    return in(c) ? c.end : at;
  }
};
// \s?[in]+
template <auto in>
struct SpaceRun {
  static size_t match(const Piece& p, size_t at) {
    if (const size_t end = p.run(at, in); end != at) return end;
    const Char c = p.at(at);
    if (!is_space(c)) return at;
    const size_t end = p.run(c.end, in);
    return end == c.end ? at : end;
  }
};
// [^\n]+|[\n]+
struct Lines {
  static size_t match(const Piece& p, size_t at) {
    const bool newline = p.text()[at] == '\n';
    return p.run(at, [newline](const Char& c) { return (c.code_point == '\n') == newline; });
  }
};
// <sentinel:[0-9]+>
struct Sentinel {
  static size_t match(const Piece& p, size_t at) {
    constexpr std::string_view kStart = "<sentinel:";
    if (!p.text().substr(at).starts_with(kStart)) return at;
    const size_t first = at + kStart.size(), end = p.run(first, is_ascii_digit);
    return end > first && p.at(end).code_point == '>' ? end + 1 : at;
  }
};
// (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z
struct Image {
  static size_t match(const Piece& p, size_t at) {
    constexpr std::string_view kStart = "IMGIMG";
    if (!p.text().substr(at).starts_with(kStart)) return at;
    size_t end = at + kStart.size();
    for (int letters = 0; letters < 4 && in_range('A', 'I', p.at(end)); ++letters) ++end;
    return end > at + kStart.size() && p.at(end).code_point == 'Z' ? end + 1 : at;
  }
};
// ([\t\n]|    |  )
struct Blanks {
  static size_t match(const Piece& p, size_t at) {
    const std::string_view text = p.text().substr(at);
    if (text[0] == '\t' || text[0] == '\n') return at + 1;
    return text.starts_with("    ") ? at + 4 : text.starts_with("  ") ? at + 2 : at;
  }
};
// \p{N}{1,3}
struct Threes {
  static size_t match(const Piece& p, size_t at) {
    for (int digits = 0; digits < 3 && is_number(p.at(at)); ++digits) at = p.at(at).end;
    return at;
  }
};
// [0-9][0-9][0-9]
struct ThreeAscii {
  static size_t match(const Piece& p, size_t at) {
    for (size_t i = at; i < at + 3; ++i) {
      if (!is_ascii_digit(p.at(i))) return at;
    }
    return at + 3;
  }
};

// ---- steps ----

// Matches and what lies between them are parts.
template <class Matcher>
struct Isolate {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    size_t gap = 0;  // the end of the last match
    for (size_t at = 0; at < p.size();) {
      const size_t end = Matcher::match(p, at);
      if (end == at) {
        at = p.at(at).end;
        continue;
      }
      if (gap < at) emit(p.part(gap, at));
      emit(p.part(at, end));
      gap = at = end;
    }
    if (gap < p.size()) emit(p.part(gap, p.size()));
  }
};

// \s+$
struct TrailingSpaces {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    size_t start = p.size();  // of the white space that reaches to the end so far
    for (size_t at = 0; at < p.size();) {
      const Char c = p.at(at);
      if (!is_space(c)) {
        start = p.size();
      } else if (start == p.size()) {
        start = at;
      }
      at = c.end;
    }
    if (start > 0) emit(p.part(0, start));
    if (start < p.size()) emit(p.part(start, p.size()));
  }
};

// Runs of digits are cut into threes from the right, which no matcher can do in linear time. `in`: what a digit is.
// `word_end`: only runs that no word character follows; the others stay in the part they are in.
template <auto in, bool word_end>
struct Thousands {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    size_t gap = 0;
    for (size_t at = 0; at < p.size();) {
      size_t digits = 0, end = at;
      Char c = p.at(at);
      for (; in(c); c = p.at(end)) {
        end = c.end;
        ++digits;
      }
      if (digits == 0 || (word_end && c.present && is_word(c.code_point))) {
        at = digits == 0 ? c.end : end;
        continue;
      }
      if (gap < at) emit(p.part(gap, at));
      for (size_t first = at; first < end; first = at) {
        for (size_t n = (digits - 1) % 3 + 1; n > 0; --n, --digits) at = p.at(at).end;
        emit(p.part(first, at));
      }
      gap = end;
    }
    if (gap < p.size()) emit(p.part(gap, p.size()));
  }
};

// (?=(\d{3})+(?!\d)): before every three digits, counted from the right.
struct BeforeThrees {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    size_t first = 0;
    for (size_t at = 0; at < p.size();) {
      size_t digits = 0;
      for (Char c = p.at(at); is_decimal(c); c = p.at(c.end)) ++digits;
      if (digits == 0) at = p.at(at).end;
      for (; digits > 0; --digits, at = p.at(at).end) {
        if (digits % 3 != 0 || at == first) continue;
        emit(p.part(first, at));
        first = at;
      }
    }
    emit(p.part(first, p.size()));
  }
};

// Digits as a tokenizer finds them that has written the bytes in the alphabet of byte-level BPE before: the letters of
// the bytes B2, B3, B9, BC, BD and BE, which are ² ³ ¹ ¼ ½ ¾, are numbers too, also inside of other characters.
// `each`: every one is a part, else every run of them.
template <bool each>
struct ByteDigits {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    const auto digit = [&](size_t at) {
      const uint8_t b = uint8_t(p.text()[at]);
      return (b >= '0' && b <= '9') || b == 0xb2 || b == 0xb3 || b == 0xb9 || (b >= 0xbc && b <= 0xbe);
    };
    size_t first = 0;
    for (size_t at = 1; at <= p.size(); ++at) {
      if (at < p.size() && digit(at) == digit(at - 1) && !(each && digit(at))) continue;
      emit(p.part(first, at));
      first = at;
    }
  }
};

// White space without a newline at its end, cut into parts of 512, 256, ... 4, 2 and 1 characters, largest first:
//   \s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)
//   |\s{1,2}(?!\S)|\s{1}
// on what \s+(?!\S)|\s+ has matched.
struct PowersOfTwo {
  template <class Emit>
  static void cut(const Piece& p, const Emit& emit) {
    size_t characters = 0, newlines_end = 0, end = 0;
    for (Char c = p.at(0); is_space(c); c = p.at(end), ++characters) {
      end = c.end;
      if (is_newline(c)) newlines_end = end;
    }
    if (end < p.size() || newlines_end == p.size()) return emit(p);
    for (size_t at = 0; at < p.size();) {
      const size_t first = at;
      size_t part = 512;
      while (part > characters) part /= 2;
      characters -= part;
      for (; part > 0; --part) at = p.at(at).end;
      emit(p.part(first, at));
    }
  }
};

// One step after another, each on the parts that the one before has left.
template <class Step, class... Rest, class Emit>
void cut(const Piece& p, const Emit& emit) {
  if constexpr (sizeof...(Rest) == 0) {
    Step::cut(p, emit);
  } else {
    Step::cut(p, [&](const Piece& part) { cut<Rest...>(part, emit); });
  }
}

}  // namespace linnet::steps

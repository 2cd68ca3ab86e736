// A tiny backtracking matcher for the regular expressions that tokenizers publish: the definition that the hand-written
// splitters are compared with. Exponential, recursive, for short texts only.
//
// Known: alternatives, (...), (?:...), (?i:...), (?=...), (?!...), classes with ranges, negation, nested classes and
// &&, \p{..}, \s, \S, \d, \b, \r, \n, \t, $, the quantifiers ? * + {n} {n,m}, possessive with a further +.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/utf8.h"
#include "runtime/unicode.h"

namespace linnet {

using CodePoints = std::vector<uint32_t>;

class SlowRegex {
 public:
  explicit SlowRegex(std::string_view pattern) {
    for (size_t at = 0; at < pattern.size();) {
      const Utf8Char c = utf8_decode(pattern, at);
      pattern_.push_back(c.code_point);
      at += c.bytes;
    }
    root_ = alternatives(false);
    require(at_ == pattern_.size());
  }

  // The end of the match that begins at `at`, as the first alternative that leads to one gives it.
  std::optional<size_t> match(const CodePoints& text, size_t at) const {
    std::optional<size_t> end;
    run(*root_, text, at, [&](size_t i) {
      end = i;
      return true;
    });
    return end;
  }

 private:
  using Set = std::function<bool(uint32_t)>;
  using Then = std::function<bool(size_t)>;
  struct Group;
  struct Item {
    enum Kind { set, group, ahead, not_ahead, end, boundary } kind = set;
    Set in;
    std::shared_ptr<Group> inner;
    size_t least = 1, most = 1;
    bool possessive = false;
  };
  struct Group {
    std::vector<std::vector<Item>> alternatives;
  };

  static void require(bool fact) {
    if (!fact) std::abort();  // a pattern that this matcher does not know: a mistake in the test
  }

  // ---- the parser ----
  uint32_t peek(size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : 0; }
  bool take(uint32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  std::shared_ptr<Group> alternatives(bool any_case) {
    auto group = std::make_shared<Group>();
    group->alternatives.emplace_back();
    while (at_ < pattern_.size() && peek() != ')') {
      if (take('|')) {
        group->alternatives.emplace_back();
      } else {
        group->alternatives.back().push_back(quantified(item(any_case)));
      }
    }
    return group;
  }

  Item item(bool any_case) {
    const auto fold = [any_case](uint32_t x) { return !any_case ? x : x == 0x17f ? 's' : lowercase(x); };
    Item result;
    if (take('$')) {
      result.kind = Item::end;
    } else if (peek() == '\\' && peek(1) == 'b') {
      at_ += 2;
      result.kind = Item::boundary;
    } else if (take('(')) {
      result.kind = Item::group;
      if (take('?')) {
        if (take('=')) {
          result.kind = Item::ahead;
        } else if (take('!')) {
          result.kind = Item::not_ahead;
        } else {
          any_case = take('i') || any_case;
          require(take(':'));
        }
      }
      result.inner = alternatives(any_case);
      require(take(')'));
    } else if (take('[')) {
      result.in = [in = set(), fold](uint32_t x) { return in(x) || in(fold(x)); };
    } else if (peek() == '\\') {
      result.in = escape();
    } else {
      const uint32_t c = pattern_[at_++];
      require(c != '*' && c != '+' && c != '?' && c != '^' && c != '.');
      result.in = [c, fold](uint32_t x) { return fold(x) == fold(c); };
    }
    return result;
  }

  Item quantified(Item item) {
    if (take('?')) {
      item.least = 0;
    } else if (take('*')) {
      item.least = 0;
      item.most = SIZE_MAX;
    } else if (take('+')) {
      item.most = SIZE_MAX;
    } else if (take('{')) {
      item.least = item.most = number();
      if (take(',')) item.most = number();
      require(take('}'));
      return item;
    } else {
      return item;
    }
    item.possessive = take('+');
    return item;
  }

  size_t number() {
    size_t value = 0;
    while (peek() >= '0' && peek() <= '9') value = value * 10 + pattern_[at_++] - '0';
    return value;
  }

  // After '\'.
  Set escape() {
    require(take('\\'));
    const uint32_t c = pattern_[at_++];
    if (c == 's') return [](uint32_t x) { return char_class(x) == CharClass::space; };
    if (c == 'S') return [](uint32_t x) { return char_class(x) != CharClass::space; };
    if (c == 'd') return [](uint32_t x) { return char_class(x) == CharClass::digit; };
    if (c == 'p') {
      require(take('{'));
      std::string name;
      while (peek() != '}') name += char(pattern_[at_++]);
      ++at_;
      return property(name);
    }
    const uint32_t literal = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
    require(literal < 0x80 && (literal < 0x20 || !is_letter_class(char_class(literal))));
    return [literal](uint32_t x) { return x == literal; };
  }

  static Set property(const std::string& name) {
    const auto of = [](auto test) { return [test](uint32_t x) { return test(char_class(x)); }; };
    if (name == "L") return of(is_letter_class);
    if (name == "N") return of(is_number_class);
    if (name == "P") return of(is_punctuation_class);
    if (name == "M") return of(is_mark_class);
    if (name == "S") return of([](CharClass c) { return c == CharClass::symbol; });
    if (name == "Lu" || name == "Lt") return of([](CharClass c) { return c == CharClass::upper; });
    if (name == "Ll") return of([](CharClass c) { return c == CharClass::lower; });
    if (name == "Lm" || name == "Lo") return of([](CharClass c) { return c == CharClass::uncased; });
    if (name == "Han") return [](uint32_t x) { return is_han(x); };
    require(false);
    return {};
  }

  // After '['.
  Set set() {
    const bool negated = take('^');
    std::vector<Set> parts;
    Set all = [](uint32_t) { return true; };  // of the parts before &&
    const auto any = [](std::vector<Set> sets) {
      return [sets](uint32_t x) {
        for (const Set& s : sets) {
          if (s(x)) return true;
        }
        return false;
      };
    };
    const auto both = [](Set a, Set b) { return [a, b](uint32_t x) { return a(x) && b(x); }; };
    while (!take(']')) {
      if (peek() == '&' && peek(1) == '&') {
        at_ += 2;
        all = both(all, any(std::exchange(parts, {})));
      } else if (take('[')) {
        parts.push_back(set());
      } else if (peek() == '\\' && !(peek(2) == '-' && peek(3) != ']')) {
        parts.push_back(escape());
      } else {
        take('\\');
        const uint32_t first = pattern_[at_++];
        uint32_t last = first;
        if (peek() == '-' && peek(1) != ']') {
          ++at_;
          last = pattern_[at_++];
        }
        parts.push_back([first, last](uint32_t x) { return x >= first && x <= last; });
      }
    }
    all = both(all, any(parts));
    return [all, negated](uint32_t x) { return all(x) != negated; };
  }

  // ---- the matcher ----
  static bool run(const Group& group, const CodePoints& text, size_t at, const Then& then) {
    for (const std::vector<Item>& sequence : group.alternatives) {
      if (run(sequence, 0, text, at, then)) return true;
    }
    return false;
  }

  static bool run(const std::vector<Item>& sequence, size_t index, const CodePoints& text, size_t at,
                  const Then& then) {
    if (index == sequence.size()) return then(at);
    const Item& item = sequence[index];
    const Then rest = [&, index](size_t i) { return run(sequence, index + 1, text, i, then); };
    if (!item.possessive) return repeat(item, 0, text, at, rest);
    std::optional<size_t> end;
    repeat(item, 0, text, at, [&](size_t i) {
      end = i;
      return true;
    });
    return end && rest(*end);
  }

  static bool repeat(const Item& item, size_t count, const CodePoints& text, size_t at, const Then& then) {
    if (count < item.most) {
      const Then again = [&, count, at](size_t i) {
        return (i > at || count < item.least) && repeat(item, count + 1, text, i, then);
      };
      if (once(item, text, at, again)) return true;
    }
    return count >= item.least && then(at);
  }

  static bool once(const Item& item, const CodePoints& text, size_t at, const Then& then) {
    const auto here = [&] { return run(*item.inner, text, at, [](size_t) { return true; }); };
    const auto word = [&](size_t i) { return i < text.size() && is_word(text[i]); };
    switch (item.kind) {
      case Item::set:
        return at < text.size() && item.in(text[at]) && then(at + 1);
      case Item::group:
        return run(*item.inner, text, at, then);
      case Item::ahead:
        return here() && then(at);
      case Item::not_ahead:
        return !here() && then(at);
      case Item::end:
        return at == text.size() && then(at);
      case Item::boundary:
        return (at > 0 && word(at - 1)) != word(at) && then(at);
    }
    return false;
  }

  CodePoints pattern_;
  size_t at_ = 0;
  std::shared_ptr<Group> root_;
};

}  // namespace linnet

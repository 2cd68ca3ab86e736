#include "sampling/regex.h"

#include <algorithm>
#include <optional>

#include "gguf/base/utf8.h"
#include "sampling/character_set.h"

namespace linnet {
namespace {

const CharacterSet kDigits = {{'0', '9'}};
const CharacterSet kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
// WhiteSpace and LineTerminator of ECMA-262.
const CharacterSet kSpaces = {{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
                              {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
const CharacterSet kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class RegexParser {
 public:
  explicit RegexParser(std::string_view pattern) : pattern_(pattern) {}

  Result<Regex> parse() {
    if (pattern_.size() > kMaxRegexBytes) {
      return fail(Code::grammar_limit, "the pattern has {} bytes; at most {} are read", pattern_.size(),
                  kMaxRegexBytes);
    }
    if (!utf8_valid(pattern_)) return error(0, "it is not valid UTF-8");
    groups_.push_back({});
    while (at_ < pattern_.size()) LINNET_CHECK(step());
    if (groups_.size() > 1) return error(groups_.back().begin, "this group is never closed; add \")\"");
    end_alternative();
    int64_t size = 0;
    for (const Regex::Branch& b : regex_.branches) size += weight(b.node);
    LINNET_CHECK(check_size(size, 0));
    return std::move(regex_);
  }

 private:
  struct Group {
    size_t begin = 0;                   // of its "("
    std::vector<int32_t> alternatives;  // that are complete
    std::vector<int32_t> sequence;      // of the one being read
    bool repeatable = false;            // the last atom may have a quantifier
    bool from_start = false, to_end = false;
  };

  Error error(size_t at, std::string_view what) const {
    return fail(Code::regex, "the pattern {} is not supported or not valid at byte {}: {}", quoted(pattern_), at, what);
  }
  char peek(size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool follows(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  int64_t weight(int32_t node) const { return weights_[size_t(node)]; }
  int32_t add(GrammarNode node, int64_t weight) {
    weights_.push_back(std::max<int64_t>(weight, 1));
    return regex_.grammar.add(std::move(node));
  }
  Status check_size(int64_t size, size_t at) const {
    if (size <= kMaxRegexSize) return {};
    return fail(Code::grammar_limit,
                "the pattern {} has more than {} characters when its repetitions are written out (at byte {}); "
                "repeat less",
                quoted(pattern_), kMaxRegexSize, at);
  }

  void push_atom(int32_t node) {
    groups_.back().sequence.push_back(node);
    groups_.back().repeatable = true;
  }
  void push_set(const CharacterSet& set) { push_atom(add({.kind = GrammarNode::Kind::characters, .ranges = set}, 1)); }

  void end_alternative() {
    Group& g = groups_.back();
    int64_t size = 0;
    for (const int32_t n : g.sequence) size += weight(n);
    const int32_t node =
        g.sequence.size() == 1
            ? g.sequence[0]
            : add({.kind = GrammarNode::Kind::sequence, .children = std::exchange(g.sequence, {})}, size);
    g.sequence.clear();
    g.repeatable = false;
    if (groups_.size() == 1) {
      regex_.branches.push_back({node, std::exchange(g.from_start, false), std::exchange(g.to_end, false)});
    } else {
      g.alternatives.push_back(node);
    }
  }

  Status open_group() {
    if (groups_.size() > size_t(kMaxRegexNesting)) {
      return fail(Code::grammar_limit, "the pattern {} nests more than {} groups at byte {}", quoted(pattern_),
                  kMaxRegexNesting, at_);
    }
    const size_t begin = at_++;
    if (follows("?:")) {
      at_ += 2;
    } else if ((follows("?<") || follows("?P<")) && !follows("?<=") && !follows("?<!")) {
      at_ += peek(1) == 'P' ? 3 : 2;
      const size_t name = at_;
      while (is_letter(peek()) || is_digit(peek()) || peek() == '_') ++at_;
      if (at_ == name || peek() != '>') return error(name, "expected a group's name and \">\"");
      ++at_;
    } else if (follows("?=") || follows("?!") || follows("?<=") || follows("?<!")) {
      return error(begin, "look-around is not supported; write what may stand there as alternatives");
    } else if (peek() == '?') {
      return error(begin, "of groups only (...), (?:...) and (?<name>...) are supported, no flags");
    }
    groups_.push_back({.begin = begin});
    return {};
  }

  Status close_group() {
    if (groups_.size() == 1) return error(at_, "no group is open here; write \"\\)\" for a parenthesis");
    end_alternative();
    Group g = std::move(groups_.back());
    groups_.pop_back();
    ++at_;
    int64_t size = 0;
    for (const int32_t n : g.alternatives) size += weight(n);
    push_atom(g.alternatives.size() == 1
                  ? g.alternatives[0]
                  : add({.kind = GrammarNode::Kind::choice, .children = std::move(g.alternatives)}, size));
    return {};
  }

  Status step() {
    Group& g = groups_.back();
    switch (const char c = peek()) {
      case '(':
        return open_group();
      case ')':
        return close_group();
      case '|':
        end_alternative();
        ++at_;
        return {};
      case '^':
        if (groups_.size() > 1 || !g.sequence.empty() || g.from_start) {
          return error(at_, "\"^\" is supported at the beginning of the pattern or of one of its alternatives only");
        }
        g.from_start = true;
        ++at_;
        return {};
      case '$':
        if (groups_.size() > 1 || (at_ + 1 < pattern_.size() && peek(1) != '|')) {
          return error(at_, "\"$\" is supported at the end of the pattern or of one of its alternatives only");
        }
        g.to_end = true;
        g.repeatable = false;
        ++at_;
        return {};
      case '*':
      case '+':
      case '?':
      case '{':
        return quantifier(c);
      case '.':
        ++at_;
        push_set(complement(kLineEnds));
        return {};
      case '[':
        return character_class();
      case '\\': {
        LINNET_TRY(const CharacterSet set, escape(false));
        push_set(set);
        return {};
      }
      default: {
        const Utf8Char u = utf8_decode(pattern_, at_);
        at_ += u.bytes;
        push_set({{u.code_point, u.code_point}});
        return {};
      }
    }
  }

  // Digits, nothing if there are none; more than the limit reads as one more than it.
  std::optional<int32_t> number() {
    if (!is_digit(peek())) return std::nullopt;
    int32_t n = 0;
    for (; is_digit(peek()); ++at_) n = std::min(kMaxRegexRepeat + 1, n * 10 + (peek() - '0'));
    return n;
  }

  Status quantifier(char c) {
    Group& g = groups_.back();
    const size_t begin = at_;
    if (!g.repeatable) {
      return error(begin, fmt::format("nothing that \"{0}\" could repeat stands before it; write \"\\{0}\" for the "
                                      "character itself, or a group around what is repeated already",
                                      c));
    }
    ++at_;
    int32_t least = c == '+' ? 1 : 0, most = c == '?' ? 1 : -1;
    if (c == '{') {
      const std::optional<int32_t> m = number();
      if (!m) return error(begin, "expected a number after \"{\"; write \"\\{\" for the character itself");
      least = most = *m;
      if (peek() == ',') {
        ++at_;
        most = number().value_or(-1);
      }
      if (peek() != '}') return error(at_, "expected \"}\" after the numbers of a repetition");
      ++at_;
      if (most >= 0 && most < least) return error(begin, "the second number of {m,n} is smaller than the first");
      if (std::max(least, most) > kMaxRegexRepeat) {
        return fail(Code::grammar_limit, "the pattern {} repeats more than {} times at byte {}", quoted(pattern_),
                    kMaxRegexRepeat, begin);
      }
    }
    if (peek() == '?') ++at_;
    g.repeatable = false;
    const int32_t child = g.sequence.back();
    const int64_t size = weight(child) * std::max(least + (most < 0 ? 1 : 0), most);
    LINNET_CHECK(check_size(size, begin));
    g.sequence.back() =
        add({.kind = GrammarNode::Kind::repeat, .children = {child}, .least = least, .most = most}, size);
    return {};
  }

  // The number of exactly `digits` hexadecimal digits.
  Result<uint32_t> hexadecimal(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int h = hex_value(peek());
      if (h < 0) return error(at_, fmt::format("expected {} hexadecimal digits", digits));
      value = value * 16 + uint32_t(h);
    }
    return value;
  }

  // After "\u": XXXX, a pair of surrogates as \uXXXX\uXXXX, or {X...}.
  Result<uint32_t> unicode_escape() {
    const size_t begin = at_;
    if (peek() == '{') {
      ++at_;
      uint32_t value = 0;
      const size_t first = at_;
      for (; hex_value(peek()) >= 0; ++at_) value = std::min(0x110000u, value * 16 + uint32_t(hex_value(peek())));
      if (at_ == first || peek() != '}') return error(begin, "expected hexadecimal digits and \"}\"");
      ++at_;
      if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return error(begin, "this is no character");
      return value;
    }
    LINNET_TRY(const uint32_t high, hexadecimal(4));
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high <= 0xdbff && follows("\\u")) {
      at_ += 2;
      LINNET_TRY(const uint32_t low, hexadecimal(4));
      if (low >= 0xdc00 && low <= 0xdfff) return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    return error(begin, "half of a surrogate pair is no character");
  }

  Result<CharacterSet> escape(bool in_class) {
    const size_t begin = at_++;
    if (at_ == pattern_.size()) return error(begin, "nothing follows the backslash");
    const char c = peek();
    ++at_;
    const auto one = [](uint32_t code_point) { return CharacterSet{{code_point, code_point}}; };
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return kSpaces;
      case 'S':
        return complement(kSpaces);
      case 'n':
        return one('\n');
      case 't':
        return one('\t');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        if (is_digit(peek())) return error(begin, "octal escapes are not supported; write \\xHH");
        return one(0);
      case 'x': {
        LINNET_TRY(const uint32_t value, hexadecimal(2));
        return one(value);
      }
      case 'u': {
        LINNET_TRY(const uint32_t value, unicode_escape());
        return one(value);
      }
      case 'b':
        if (in_class) return one('\b');
        return error(begin, "word boundaries are not supported; write what may stand there");
      case 'B':
        return error(begin, "word boundaries are not supported; write what may stand there");
      case 'p':
      case 'P':
        return error(begin, "Unicode properties are not supported; write the ranges of characters");
      case 'k':
        return error(begin, "back references are not supported");
      default:
        break;
    }
    if (is_digit(c)) return error(begin, "back references are not supported");
    if (is_letter(c) || uint8_t(c) < 0x21 || uint8_t(c) > 0x7e) return error(begin, "this escape is not known");
    return one(uint8_t(c));
  }

  Status character_class() {
    const size_t begin = at_++;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<CharacterRange> ranges;
    bool first = true;
    while (true) {
      if (at_ == pattern_.size()) return error(begin, "this class is never closed; add \"]\"");
      if (peek() == ']') {
        if (first) return error(begin, "an empty class is not supported; write \"\\]\" for a bracket in it");
        ++at_;
        break;
      }
      first = false;
      LINNET_TRY(const CharacterSet low, class_item());
      const bool range = peek() == '-' && at_ + 1 < pattern_.size() && peek(1) != ']';
      if (!range) {
        ranges.insert(ranges.end(), low.begin(), low.end());
        continue;
      }
      const size_t dash = at_++;
      LINNET_TRY(const CharacterSet high, class_item());
      if (low.size() != 1 || high.size() != 1 || low[0].first != low[0].last || high[0].first != high[0].last) {
        return error(dash, "a range needs one character on each side; write \"\\-\" for the character itself");
      }
      if (low[0].first > high[0].first) return error(dash, "this range ends before it begins");
      ranges.push_back({low[0].first, high[0].first});
    }
    CharacterSet set = character_set(std::move(ranges));
    if (negated) set = complement(set);
    if (set.empty()) return error(begin, "this class has no character");
    push_set(set);
    return {};
  }

  Result<CharacterSet> class_item() {
    if (peek() == '\\') return escape(true);
    if (follows("[:")) return error(at_, "named classes are not supported; write \"\\[\" for a bracket in a class");
    const Utf8Char u = utf8_decode(pattern_, at_);
    at_ += u.bytes;
    return CharacterSet{{u.code_point, u.code_point}};
  }

  std::string_view pattern_;
  size_t at_ = 0;
  std::vector<Group> groups_;     // the whole pattern, then every group that is open
  std::vector<int64_t> weights_;  // of the nodes: their size written out
  Regex regex_;
};

}  // namespace

Result<Regex> parse_regex(std::string_view pattern) { return RegexParser(pattern).parse(); }

}  // namespace linnet

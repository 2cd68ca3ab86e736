#include "sampling/gbnf.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gguf/base/utf8.h"
#include "sampling/grammar_nfa.h"

namespace linnet {
namespace {

constexpr uint32_t kLastCodePoint = 0x10ffff;
// Larger counts cannot fit the limit of states; this keeps them from overflowing.
constexpr int64_t kMostRepeats = 1'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name(char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '_'; }
bool is_surrogate(uint32_t c) { return c >= 0xd800 && c <= 0xdfff; }

// Ascending and disjoint, from ranges in any order.
std::vector<CharacterRange> normalized(std::vector<CharacterRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](auto a, auto b) { return a.first < b.first; });
  std::vector<CharacterRange> out;
  for (const CharacterRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<CharacterRange> without_surrogates(const std::vector<CharacterRange>& ranges) {
  std::vector<CharacterRange> out;
  for (const CharacterRange& range : ranges) {
    if (range.first < 0xd800) out.push_back({range.first, std::min(range.last, 0xd7ffu)});
    if (range.last > 0xdfff) out.push_back({std::max(range.first, 0xe000u), range.last});
  }
  return out;
}

// All characters that are in none of the (normalized) ranges.
std::vector<CharacterRange> complement(const std::vector<CharacterRange>& ranges) {
  std::vector<CharacterRange> out;
  uint32_t next = 0;
  for (const CharacterRange& range : ranges) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) out.push_back({next, kLastCodePoint});
  return without_surrogates(out);
}

class GbnfParser {
 public:
  GbnfParser(std::string_view text, const SamplingVocabulary* vocabulary) : text_(text), vocabulary_(vocabulary) {}

  Result<GrammarRules> parse() {
    if (text_.size() > kMaxGrammarBytes) {
      return fail(Code::grammar_limit, "the grammar has {} bytes: at most {} are taken", text_.size(),
                  kMaxGrammarBytes);
    }
    for (size_t i = 0; i < text_.size();) {
      const Utf8Char c = utf8_decode(text_, i);
      if (!c.valid) return error(i, "expected UTF-8");
      i += c.bytes;
    }
    skip_space(true);
    while (!at_end()) {
      LINNET_CHECK(parse_rule());
      skip_space(true);
    }
    const auto root = names_.find("root");
    if (root == names_.end() || !defined_[size_t(root->second)]) {
      return fail(Code::grammar_syntax,
                  "the grammar has no rule named root, which is where a text begins: add root ::= ...");
    }
    for (size_t i = 0; i < defined_.size(); ++i) {
      if (defined_[i]) continue;
      return error(first_use_[i], fmt::format("expected a rule that is defined; add {} ::= ...", out_.rules[i].name));
    }
    out_.root = root->second;
    return std::move(out_);
  }

 private:
  // An open bracket, or the rule itself.
  struct Level {
    size_t open;                         // where its bracket is
    std::vector<int32_t> alternatives;   // finished ones
    std::vector<int32_t> sequence = {};  // of the alternative that is being read
  };

  // --- places ---

  Error error(size_t at, std::string_view expected) const {
    at = std::min(at, text_.size());
    size_t line_start = 0, line = 1;
    for (size_t i = 0; i < at; ++i) {
      if (text_[i] == '\n' || (text_[i] == '\r' && (i + 1 == text_.size() || text_[i + 1] != '\n'))) {
        ++line;
        line_start = i + 1;
      }
    }
    const size_t column = 1 + utf8_count(text_.substr(line_start, at - line_start));
    const std::string found = at == text_.size() ? "the end of the grammar" : quoted(text_.substr(at), 16);
    return fail(Code::grammar_syntax, "line {}, column {}: {}; found {}", line, column, expected, found);
  }

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void skip_space(bool lines) {
    for (; !at_end(); ++at_) {
      const char c = text_[at_];
      if (c == '#') {
        while (!at_end() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
        if (!lines || at_end()) return;
      } else if (c == '\n' || c == '\r') {
        if (!lines) return;
      } else if (c != ' ' && c != '\t') {
        return;
      }
    }
  }

  // --- rules ---

  std::string_view parse_name() {
    const size_t begin = at_;
    while (!at_end() && is_name(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // The index of a rule that may not be defined yet.
  Result<int32_t> rule_named(std::string_view name, size_t at) {
    const auto known = names_.find(std::string(name));
    if (known != names_.end()) return known->second;
    if (int64_t(out_.rules.size()) >= GrammarLimits::kRules) {
      return fail(Code::grammar_limit, "the grammar has more than {} rules", GrammarLimits::kRules);
    }
    const int32_t rule = out_.add_rule(std::string(name));
    names_.emplace(name, rule);
    defined_.push_back(false);
    first_use_.push_back(at);
    return rule;
  }

  Status parse_rule() {
    const size_t begin = at_;
    const std::string_view name = parse_name();
    if (name.empty()) return error(at_, "expected the name of a rule (letters, digits, - and _)");
    skip_space(false);
    const size_t after_name = at_;
    if (!take("::=")) return error(at_, fmt::format("expected ::= after the name {}", name));
    LINNET_TRY(const int32_t rule, rule_named(name, begin));
    if (defined_[size_t(rule)])
      return error(begin, fmt::format("expected a new name: rule {} is defined before", name));
    defined_[size_t(rule)] = true;
    skip_space(true);
    // The name of the next rule: this one is empty.
    if (next_rule_begins()) at_ = after_name + 3;
    LINNET_TRY(const int32_t node, parse_choice());
    out_.rules[size_t(rule)].node = node;
    return {};
  }

  bool next_rule_begins() {
    const size_t before = at_;
    const bool named = !parse_name().empty();
    skip_space(false);
    const bool begins = named && text_.substr(at_).starts_with("::=");
    at_ = before;
    return begins;
  }

  // Up to the end of the rule. Brackets are levels of our own stack.
  Result<int32_t> parse_choice() {
    std::vector<Level> levels;
    levels.push_back({at_, {}});
    while (true) {
      skip_space(levels.size() > 1);
      Level& level = levels.back();
      if (take("|")) {
        level.alternatives.push_back(finish_sequence(level));
        // The alternative may stand on the next line, unless it is empty and that line is a rule.
        const size_t line = at_;
        skip_space(true);
        if (levels.size() == 1 && next_rule_begins()) at_ = line;
      } else if (take("(")) {
        if (levels.size() > kMaxGrammarNesting) {
          return fail(Code::grammar_limit,
                      "{}: at most {} brackets may be open; name inner parts as rules of their own",
                      error(at_ - 1, "too many brackets").message, kMaxGrammarNesting);
        }
        levels.push_back({at_ - 1, {}});
      } else if (peek() == ')' && levels.size() > 1) {
        ++at_;
        level.alternatives.push_back(finish_sequence(level));
        const int32_t node = finish_choice(level);
        levels.pop_back();
        levels.back().sequence.push_back(node);
        LINNET_CHECK(parse_repeats(levels.back(), levels.size() > 1));
      } else if (at_end() || peek() == '\n' || peek() == '\r') {
        if (levels.size() > 1) return error(at_, fmt::format("expected ) for the bracket at {}", place(level.open)));
        // A line that begins with | goes on.
        const size_t line = at_;
        skip_space(true);
        if (peek() == '|' && !at_end()) continue;
        at_ = line;
        level.alternatives.push_back(finish_sequence(level));
        return finish_choice(level);
      } else {
        LINNET_TRY(const int32_t item, parse_item());
        level.sequence.push_back(item);
        LINNET_CHECK(parse_repeats(level, levels.size() > 1));
      }
    }
  }

  std::string place(size_t at) const {
    const std::string message = error(at, "").message;
    return message.substr(0, message.find(": "));
  }

  int32_t finish_sequence(Level& level) {
    std::vector<int32_t> sequence = std::exchange(level.sequence, {});
    return sequence.size() == 1 ? sequence[0] : out_.sequence(std::move(sequence));
  }
  int32_t finish_choice(Level& level) {
    if (level.alternatives.size() == 1) return level.alternatives[0];
    return out_.choice(std::move(level.alternatives));
  }

  // --- items ---

  Result<int32_t> parse_item() {
    const size_t begin = at_;
    const char c = peek();
    if (c == '"') return parse_text();
    if (c == '[') return parse_class();
    if (take(".")) return out_.characters(complement({}));
    if (take("!")) {
      if (peek() != '<') return error(at_, "expected a token after !, as in !<[123]> or !<text>");
      LINNET_TRY(const int32_t token, parse_token());
      return out_.not_token(token);
    }
    if (c == '<') {
      LINNET_TRY(const int32_t token, parse_token());
      return out_.token(token);
    }
    if (is_name(c)) {
      const std::string_view name = parse_name();
      LINNET_TRY(const int32_t rule, rule_named(name, begin));
      return out_.reference(rule);
    }
    return error(at_, "expected \"text\", [class], a rule, ( ), ., a token, | or the end of the line");
  }

  Result<int32_t> parse_text() {
    const size_t begin = at_++;
    std::string text;
    while (peek() != '"' || at_end()) {
      if (at_end() || peek() == '\n' || peek() == '\r') {
        return error(at_,
                     fmt::format("expected \" for the text that begins at {} (a line end in it is \\n)", place(begin)));
      }
      LINNET_TRY(const uint32_t c, parse_character());
      utf8_append(text, c);
    }
    ++at_;
    return out_.text(std::move(text));
  }

  Result<int32_t> parse_class() {
    const size_t begin = at_++;
    const bool negated = take("^");
    std::vector<CharacterRange> ranges;
    while (peek() != ']' || at_end()) {
      if (at_end() || peek() == '\n' || peek() == '\r') {
        return error(at_, fmt::format("expected ] for the class that begins at {}", place(begin)));
      }
      const size_t range = at_;
      LINNET_TRY(const uint32_t first, parse_character());
      uint32_t last = first;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        LINNET_TRY(last, parse_character());
      }
      if (last < first) return error(range, "expected a range from the lower to the higher character");
      ranges.push_back({first, last});
    }
    ++at_;
    ranges = normalized(std::move(ranges));
    ranges = negated ? complement(ranges) : without_surrogates(ranges);
    if (ranges.empty()) return error(begin, "expected a class with at least one character in it");
    return out_.characters(std::move(ranges));
  }

  // One character of a text or a class, escaped or not.
  Result<uint32_t> parse_character() {
    if (peek() != '\\') {
      const Utf8Char c = utf8_decode(text_, at_);
      at_ += c.bytes;
      return c.code_point;
    }
    const size_t begin = at_++;
    if (at_end()) return error(at_, "expected a character after the backslash");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return uint32_t('\n');
      case 'r':
        return uint32_t('\r');
      case 't':
        return uint32_t('\t');
      case 'x':
        return parse_hex(begin, 2);
      case 'u':
        return parse_hex(begin, 4);
      case 'U':
        return parse_hex(begin, 8);
      default:
        break;
    }
    if (c > ' ' && c < 0x7f && !is_letter(c) && !is_digit(c)) return uint32_t(c);
    return error(
        begin, "expected one of the escapes \\n \\r \\t \\xNN \\uNNNN \\UNNNNNNNN, or punctuation after the backslash");
  }

  Result<uint32_t> parse_hex(size_t begin, int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) {
        return error(at_, fmt::format("expected {} hexadecimal digits", digits));
      }
      value = value << 4 | uint32_t(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (value <= kLastCodePoint && !is_surrogate(value)) return value;
    return error(begin,
                 "expected a code point up to U+10FFFF that is no surrogate (\\U0001F600 for one beyond U+FFFF)");
  }

  Result<int32_t> parse_token() {
    const size_t begin = at_;
    if (take("<[")) {
      const size_t digits = at_;
      int64_t id = 0;
      for (; is_digit(peek()) && id <= INT32_MAX; ++at_) id = 10 * id + (peek() - '0');
      if (at_ == digits || id > INT32_MAX) return error(digits, "expected the number of a token");
      if (!take("]>")) return error(at_, "expected ]> after the number of a token");
      return int32_t(id);
    }
    size_t end = begin + 1;
    while (end < text_.size() && text_[end] != '>' && text_[end] != '\n' && text_[end] != '\r') ++end;
    if (end == text_.size() || text_[end] != '>') return error(end, "expected > at the end of the text of a token");
    const std::string_view piece = text_.substr(begin, end + 1 - begin);
    at_ = end + 1;
    if (!vocabulary_) return error(begin, "expected a token by its number, as in <[123]>: no vocabulary is known here");
    if (const int32_t token = vocabulary_->find_token(piece); token >= 0) return token;
    const std::vector<int32_t> tokens = vocabulary_->tokenize(piece);
    if (tokens.size() == 1) return tokens[0];
    return error(begin, "expected the text of one token of this vocabulary, angle brackets included");
  }

  // Repetitions behind the last item; each repeats all before it. Inside brackets they may stand on the next line.
  Status parse_repeats(Level& level, bool lines) {
    while (true) {
      skip_space(lines);
      int64_t least = 0, most = -1;
      const size_t begin = at_;
      if (take("+")) {
        least = 1;
      } else if (take("?")) {
        most = 1;
      } else if (take("{")) {
        LINNET_CHECK(parse_counts(begin, least, most));
      } else if (!take("*")) {
        return {};
      }
      level.sequence.back() = out_.repeat(level.sequence.back(), int32_t(least), int32_t(most));
    }
  }

  Status parse_counts(size_t begin, int64_t& least, int64_t& most) {
    const auto number = [&](int64_t& value) -> Result<bool> {
      skip_space(false);
      if (!is_digit(peek())) return false;
      const size_t at = at_;
      value = 0;
      for (; is_digit(peek()); ++at_) value = std::min(10 * value + (peek() - '0'), kMostRepeats + 1);
      if (value > kMostRepeats) {
        return Error{Code::grammar_limit,
                     error(at, fmt::format("expected a count of at most {}", kMostRepeats)).message};
      }
      return true;
    };
    LINNET_TRY(const bool has_least, number(least));
    skip_space(false);
    if (take(",")) {
      LINNET_TRY(const bool has_most, number(most));
      if (!has_least && !has_most) return error(at_, "expected a count: {m}, {m,}, {m,n} or {,n}");
    } else {
      if (!has_least) return error(at_, "expected a count: {m}, {m,}, {m,n} or {,n}");
      most = least;
    }
    skip_space(false);
    if (!take("}")) return error(at_, "expected } after the counts of a repetition");
    if (most >= 0 && most < least) return error(begin, "expected {m,n} with m <= n");
    return {};
  }

  const std::string_view text_;
  const SamplingVocabulary* const vocabulary_;
  size_t at_ = 0;
  GrammarRules out_;
  std::unordered_map<std::string, int32_t> names_;
  std::vector<bool> defined_;      // [rules]
  std::vector<size_t> first_use_;  // [rules] where
};

}  // namespace

Result<GrammarRules> parse_gbnf(std::string_view text, const SamplingVocabulary* vocabulary) {
  return GbnfParser(text, vocabulary).parse();
}

}  // namespace linnet

#include "sampling/json_grammar.h"

#include <utility>

namespace linnet {
namespace {

constexpr int32_t kMaxIndent = 32;

const CharacterSet kEscaped = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};

}  // namespace

int32_t JsonGrammar::shared(int32_t& rule, const char* name, int32_t (JsonGrammar::*make)()) {
  if (rule < 0) {
    const int32_t node = (this->*make)();
    rule = rules.add_rule(name, node);
  }
  return rules.reference(rule);
}

int32_t JsonGrammar::make_space() {
  const int32_t indent = rules.repeat(rules.text(" "), 0, kMaxIndent);
  const int32_t line = rules.sequence({rules.text("\n"), indent});
  return rules.choice({rules.text(""), rules.text(" "), line});
}
int32_t JsonGrammar::make_comma() {
  const int32_t after = space();
  return rules.sequence({rules.text(","), after});
}
int32_t JsonGrammar::make_colon() { return rules.choice({rules.text(":"), rules.text(": ")}); }

int32_t JsonGrammar::make_escape() {
  const int32_t one =
      rules.characters({{'"', '"'}, {'\\', '\\'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
  const int32_t hex = rules.characters({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  const int32_t code = rules.sequence({rules.text("u00"), rules.characters({{'0', '1'}}), hex});
  return rules.sequence({rules.text("\\"), rules.choice({one, code})});
}

// A control character: \u00HH, or shorter where JSON has a letter for it.
int32_t JsonGrammar::control(uint32_t character) {
  int32_t& rule = controls_[character];
  if (rule < 0) {
    constexpr std::pair<uint32_t, const char*> kLetters[] = {
        {'\b', "\\b"}, {'\f', "\\f"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};
    std::vector<int32_t> ways;
    for (const auto& [with_letter, text] : kLetters) {
      if (with_letter == character) ways.push_back(rules.text(text));
    }
    const uint32_t digit = character % 16;
    const uint32_t upper = digit < 10 ? '0' + digit : 'A' + digit - 10;
    CharacterSet hex = {{upper, upper}};
    if (digit >= 10) hex.push_back({upper + 32, upper + 32});
    const int32_t start = rules.text(character < 16 ? "\\u000" : "\\u001");
    ways.push_back(rules.sequence({start, rules.characters(std::move(hex))}));
    const int32_t node = ways.size() == 1 ? ways[0] : rules.choice(std::move(ways));
    rule = rules.add_rule("control", node);
  }
  return rules.reference(rule);
}

// One character inside the quotes.
int32_t JsonGrammar::spell(const CharacterSet& set) {
  std::vector<int32_t> ways;
  const CharacterSet plain = difference(set, kEscaped);
  if (!plain.empty()) ways.push_back(rules.characters(plain));
  if (difference(kEscaped, set).empty()) {
    ways.push_back(shared(escape_, "escape", &JsonGrammar::make_escape));
  } else {
    for (const CharacterRange r : intersection(set, kEscaped)) {
      for (uint32_t c = r.first; c <= r.last; ++c) {
        ways.push_back(c < 32 ? control(c) : rules.text({'\\', char(c)}));
      }
    }
  }
  return ways.size() == 1 ? ways[0] : rules.choice(std::move(ways));
}

Spelling JsonGrammar::spelling() {
  return [this](GrammarRules&, const CharacterSet& set) { return spell(set); };
}

int32_t JsonGrammar::make_character() { return spell(all_characters()); }
int32_t JsonGrammar::make_string() { return string_of_length(0, -1); }

int32_t JsonGrammar::empty(char open, char close) {
  const int32_t between = space();
  return rules.sequence({rules.text({open}), between, rules.text({close})});
}

int32_t JsonGrammar::enclosed(char open, int32_t content, char close) {
  const int32_t before = space(), after = space();
  return rules.sequence({rules.text({open}), before, content, after, rules.text({close})});
}

int32_t JsonGrammar::literal(const Json& value) {
  JsonWriter writer;
  writer.value(value);
  return rules.text(writer.text());
}

int32_t JsonGrammar::quoted(int32_t content) { return rules.sequence({rules.text("\""), content, rules.text("\"")}); }

int32_t JsonGrammar::string_of(const Language& language) {
  const int32_t content = add_language(rules, language, spelling(), "string");
  return quoted(content);
}

int32_t JsonGrammar::string_of_length(int32_t least, int32_t most) {
  const int32_t character = shared(character_, "character", &JsonGrammar::make_character);
  return quoted(rules.repeat(character, least, most));
}

int32_t JsonGrammar::make_any_number() {
  const auto digits = [&](int32_t least, int32_t most) {
    return rules.repeat(rules.characters({{'0', '9'}}), least, most);
  };
  const int32_t sign = rules.optional(rules.text("-"));
  const int32_t first = rules.characters({{'1', '9'}});
  const int32_t many = rules.sequence({first, digits(0, kNumberDigits - 1)});
  const int32_t whole = rules.choice({rules.text("0"), many});
  const int32_t fraction = rules.optional(rules.sequence({rules.text("."), digits(1, kNumberDigits)}));
  const int32_t exponent_sign = rules.optional(rules.characters({{'+', '+'}, {'-', '-'}}));
  const int32_t letter = rules.characters({{'E', 'E'}, {'e', 'e'}});
  const int32_t exponent = rules.optional(rules.sequence({letter, exponent_sign, digits(1, 2)}));
  return rules.sequence({sign, whole, fraction, exponent});
}

int32_t JsonGrammar::number(const NumberRange& range, bool integers_only) {
  if (!integers_only && range.unbounded()) return shared(number_, "number", &JsonGrammar::make_any_number);
  return add_number_range(rules, range, integers_only);
}

}  // namespace linnet

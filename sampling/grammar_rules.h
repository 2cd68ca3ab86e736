// A grammar as it is written down, before it is compiled: rules over bytes, characters and tokens. GBNF, JSON schemas,
// regular expressions and lists of choices all become this (sampling/gbnf.h, json_schema.h, regex_grammar.h), and
// sampling/grammar.h compiles it.
//
// The text of a grammar is the bytes of UTF-8; a character class stands for the UTF-8 sequences of its characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/error.h"

namespace linnet {

// Both ends included; code points 0 to 0x10FFFF without surrogates.
struct CharacterRange {
  uint32_t first;
  uint32_t last;
};

// A node of an expression; children are named by their index in GrammarRules::nodes.
struct GrammarNode {
  enum class Kind : uint8_t {
    text,        // `text` as it is; may be empty
    characters,  // one character out of `ranges` (ascending, disjoint, not empty)
    token,       // the token `value`, whatever its bytes; only where a token begins
    sequence,    // `children` one after the other; none: the empty text
    choice,      // one of `children`, at least one
    repeat,      // `children[0]`, at least `least` times and at most `most` times (-1: any number)
    rule,        // rule `value`
    not_token,   // any one token that stands for text, except the token `value`; only where a token begins
  };
  Kind kind = Kind::text;
  std::string text;
  std::vector<CharacterRange> ranges;
  std::vector<int32_t> children;
  int32_t value = -1;
  int32_t least = 0, most = -1;
};

struct GrammarRule {
  std::string name;  // for messages
  int32_t node = -1;
};

// A plain value. Building it checks nothing; Grammar::compile() checks everything (bounds of indices included).
struct GrammarRules {
  std::vector<GrammarNode> nodes;
  std::vector<GrammarRule> rules;
  int32_t root = 0;  // index of the rule that is the whole text

  int32_t add(GrammarNode node) {
    nodes.push_back(std::move(node));
    return int32_t(nodes.size()) - 1;
  }
  int32_t text(std::string bytes) { return add({.kind = GrammarNode::Kind::text, .text = std::move(bytes)}); }
  int32_t characters(std::vector<CharacterRange> ranges) {
    return add({.kind = GrammarNode::Kind::characters, .ranges = std::move(ranges)});
  }
  int32_t token(int32_t id) { return add({.kind = GrammarNode::Kind::token, .value = id}); }
  int32_t not_token(int32_t id) { return add({.kind = GrammarNode::Kind::not_token, .value = id}); }
  int32_t sequence(std::vector<int32_t> children) {
    return add({.kind = GrammarNode::Kind::sequence, .children = std::move(children)});
  }
  int32_t choice(std::vector<int32_t> children) {
    return add({.kind = GrammarNode::Kind::choice, .children = std::move(children)});
  }
  int32_t repeat(int32_t child, int32_t least, int32_t most) {
    return add({.kind = GrammarNode::Kind::repeat, .children = {child}, .least = least, .most = most});
  }
  int32_t optional(int32_t child) { return repeat(child, 0, 1); }
  int32_t reference(int32_t rule) { return add({.kind = GrammarNode::Kind::rule, .value = rule}); }
  // A new rule; its node may be set later, so that rules can name each other.
  int32_t add_rule(std::string name, int32_t node = -1) {
    rules.push_back({std::move(name), node});
    return int32_t(rules.size()) - 1;
  }
};

}  // namespace linnet

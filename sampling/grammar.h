// Grammars: the tokens that may follow, so that a generated text is one of the grammar.
//
//   parse_gbnf() and others -> GrammarRules -> Grammar::compile() -> GrammarMatcher, one per sequence
//
// The text is bytes: tokens may begin and end anywhere, also inside a character, and are allowed exactly when the bytes
// so far with theirs can be completed to a text of the grammar. Tokens without bytes (control tokens) are allowed only
// where the grammar names them; end-of-generation tokens also exactly when the text is complete. docs/grammars.md says
// what is written how and what it costs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/grammar_automaton.h"
#include "sampling/grammar_masks.h"
#include "sampling/grammar_rules.h"
#include "sampling/grammar_stack.h"
#include "sampling/token_trie.h"

namespace linnet {

// Thread-safe, and shared by all sequences that use it. What it computes on the way is kept, within GrammarMasks::kMemory.
class Grammar {
 public:
  // Refused with a sentence that names the rule: left recursion, rules that can never end, references and ranges that
  // make no sense (grammar_syntax), too many rules, states or levels (grammar_limit).
  static Result<std::shared_ptr<const Grammar>> compile(const GrammarRules& rules,
                                                        std::shared_ptr<const TokenTrie> trie);

  const TokenTrie& trie() const { return *trie_; }
  const GrammarAutomaton& automaton() const { return automaton_; }
  const GrammarMasks& masks() const { return masks_; }
  size_t memory() const;  // bytes, without the trie; grows with use

 private:
  Grammar(GrammarAutomaton automaton, std::shared_ptr<const TokenTrie> trie);

  const GrammarAutomaton automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  const GrammarMasks masks_;
};

// Where one sequence is in a text of the grammar. A plain value: copies go on independently. Not thread-safe; different
// matchers may share a grammar on different threads.
class GrammarMatcher {
 public:
  static constexpr size_t kMostForced = 256;            // bytes
  static constexpr size_t kMostPast = size_t(1) << 22;  // states kept for rewind(): 32 MiB; a token has about three

  explicit GrammarMatcher(std::shared_ptr<const Grammar> grammar);

  // The next token. false, and nothing changes, when it does not fit, or when too_ambiguous(). After an end-of-generation
  // token only another one fits.
  bool accept(int32_t token);
  // The same for bytes that are no token; counts as one token in rewind().
  bool accept_bytes(std::string_view bytes);
  // Whether what was not accepted last may fit: reading it takes more steps or memory than is allowed.
  bool too_ambiguous() const { return too_ambiguous_; }
  // Undoes the last `tokens` calls of accept() and accept_bytes() that returned true, or all, if there were fewer.
  void rewind(int64_t tokens);
  int64_t accepted() const { return int64_t(history_.size()); }

  // Bit t % 64 of allowed[t / 64]: token t may follow. At least [vocabulary / 64, rounded up] words; bits beyond the
  // vocabulary become 0. Fails with grammar_dead_end when no token of the vocabulary fits, and with grammar_limit when
  // the grammar is too ambiguous at this place, or the text too long for how ambiguous it is.
  Status mask(std::span<uint64_t> allowed) const;

  // Whether the text may end here.
  bool complete() const;
  // Whether nothing can follow and the text cannot end; never so after accept().
  bool dead() const { return current_.empty(); }
  // The bytes that every continuation begins with: at most kMostForced, and whole characters. Empty where the text may
  // end or a token terminal may follow.
  std::string forced() const;
  const Grammar& grammar() const { return *grammar_; }
  size_t memory() const;  // bytes

 private:
  struct Mark {
    size_t past;    // where past_ ended before
    size_t stacks;  // how many stacks there were
  };

  using Exits = std::shared_ptr<const GrammarMasks::Exits>;
  struct Walk {
    size_t exits;  // place in exits_
    Configuration from;
  };

  void read(std::string_view bytes, std::vector<Configuration>& set);
  bool become(std::vector<Configuration>& set, size_t stacks);

  std::shared_ptr<const Grammar> grammar_;
  mutable Pushdown pushdown_;
  std::vector<Configuration> current_;
  std::vector<Configuration> past_;  // earlier sets one after the other
  std::vector<Mark> history_;        // [tokens accepted]
  bool too_ambiguous_ = false;
  // Kept for their memory.
  mutable std::vector<Configuration> entered_, next_, other_;
  mutable std::vector<Walk> walks_;
  mutable std::vector<Exits> exits_;
  mutable KeySet seen_;
};

}  // namespace linnet

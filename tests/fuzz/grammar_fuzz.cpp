// Any text as a GBNF grammar: it is refused, or masks and tokens agree on a walk through it. Input: one byte that seeds
// the walk, then the grammar.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "sampling/gbnf.h"
#include "sampling/grammar.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/support.h"

namespace {

const linnet::TextVocabulary& vocabulary() {
  static const linnet::TextVocabulary made = [] {
    std::vector<std::string> texts;
    for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, char(i)));
    for (const char* text : {"ab",         "aab",
                             "\"a\":",     "\",",
                             "{\"",        "  ",
                             "\n\n",       "é",
                             "€",          "😀",
                             "aé",         "\xa9z",
                             "\xe2\x82",   "root",
                             "10",         "true",
                             "",           "",
                             "]]",         "a b",
                             "abcdefghij", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
      texts.push_back(text);
    }
    return linnet::TextVocabulary(std::move(texts));
  }();
  return made;
}

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;
  static const auto trie = std::make_shared<const TokenTrie>(vocabulary());
  if (size < 1) return 0;
  const auto rules = parse_gbnf({reinterpret_cast<const char*>(data) + 1, size - 1}, &vocabulary());
  if (!rules) return 0;
  const auto grammar = Grammar::compile(*rules, trie);
  if (!grammar) return 0;
  Random random(data[0]);
  GrammarMatcher matcher(*grammar);
  std::vector<uint64_t> mask(trie->mask_words()), again = mask;
  for (int i = 0; i < 12; ++i) {
    const Status status = matcher.mask(mask);
    if (!status && status.error().code == Code::grammar_limit) return 0;
    const std::string forced = matcher.forced();
    std::vector<int32_t> fit;
    for (int32_t token = 0; token < vocabulary().size(); ++token) {
      const bool allowed = mask[size_t(token) / 64] >> (token % 64) & 1;
      GrammarMatcher copy = matcher;
      check(copy.accept(token) == allowed);
      check(!copy.dead());
      if (!allowed) continue;
      fit.push_back(token);
      // What is forced is how every token begins.
      const std::string_view bytes = vocabulary().bytes(token);
      check(forced.empty() || forced.starts_with(bytes) || bytes.starts_with(forced));
      copy.rewind(1);
      check(bool(copy.mask(again)) && again == mask);
    }
    check(bool(status) == !fit.empty());
    if (fit.empty()) return 0;
    check(matcher.accept(fit[size_t(random.below(int64_t(fit.size())))]));
  }
  return 0;
}

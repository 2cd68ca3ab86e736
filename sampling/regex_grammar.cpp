#include "sampling/regex_grammar.h"

#include <algorithm>
#include <map>

#include "gguf/base/utf8.h"
#include "sampling/language_rules.h"
#include "sampling/regex.h"

namespace linnet {

Result<GrammarRules> regex_rules(std::string_view pattern) {
  LINNET_TRY(const Regex regex, parse_regex(pattern));
  GrammarRules rules;
  rules.root = rules.add_rule("pattern");
  WorkBudget budget;
  LINNET_TRY(const int32_t node, add_regex(rules, regex, false, spell_plainly, "pattern", budget));
  rules.rules[size_t(rules.root)].node = node;
  return rules;
}

Result<GrammarRules> choice_rules(std::span<const std::string> choices) {
  if (choices.empty()) return fail(Code::invalid_argument, "a list of choices is empty; name at least one text");
  size_t bytes = 0;
  std::map<std::string_view, size_t> seen;
  for (size_t i = 0; i < choices.size(); ++i) {
    const std::string& text = choices[i];
    bytes += text.size();
    if (i >= kMaxChoices || bytes > kMaxChoiceBytes) {
      return fail(Code::grammar_limit, "{} choices: at most {} choices of {} bytes together are taken; list fewer",
                  choices.size(), kMaxChoices, kMaxChoiceBytes);
    }
    if (text.empty()) return fail(Code::invalid_argument, "choice {} is empty; every choice needs a text", i);
    if (!utf8_valid(text)) return fail(Code::invalid_argument, "choice {} is not valid UTF-8: {}", i, quoted(text));
    const auto [at, added] = seen.try_emplace(text, i);
    if (!added) return fail(Code::invalid_argument, "choices {} and {} are both {}", at->second, i, quoted(text));
  }
  GrammarRules rules;
  std::vector<int32_t> ways;
  for (const std::string& text : choices) ways.push_back(rules.text(text));
  const int32_t node = ways.size() == 1 ? ways[0] : rules.choice(std::move(ways));
  rules.root = rules.add_rule("choice", node);
  return rules;
}

}  // namespace linnet

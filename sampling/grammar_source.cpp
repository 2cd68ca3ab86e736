#include "sampling/grammar_source.h"

#include "gguf/base/json.h"
#include "sampling/gbnf.h"
#include "sampling/json_schema.h"
#include "sampling/regex_grammar.h"

namespace linnet {
namespace {

Result<GrammarRules> listed_choices(std::string_view text) {
  LINNET_TRY(const Json list, parse_json(text));
  std::vector<std::string> choices;
  for (const Json& choice : list.elements()) {
    if (!choice.is_string()) {
      return fail(Code::option_type, "choice {} of the grammar is {}, expected a text", choices.size() + 1,
                  choice.type_name());
    }
    choices.emplace_back(*choice.string());
  }
  return choice_rules(choices);
}

}  // namespace

std::string_view grammar_kind_name(GrammarSource::Kind kind) {
  constexpr std::string_view names[] = {"none", "gbnf", "json_schema", "regex", "choice"};
  return names[size_t(kind)];
}

Result<GrammarRules> grammar_rules(const GrammarSource& source, const SamplingVocabulary& vocabulary) {
  switch (source.kind) {
    case GrammarSource::Kind::gbnf:
      return parse_gbnf(source.text, &vocabulary);
    case GrammarSource::Kind::json_schema:
      return json_schema_rules(std::string_view(source.text));
    case GrammarSource::Kind::regex:
      return regex_rules(source.text);
    case GrammarSource::Kind::choice:
      return listed_choices(source.text);
    case GrammarSource::Kind::none:
      break;
  }
  return fail(Code::invalid_argument,
              "there is no grammar to read, expected a grammar, a schema, a pattern or choices");
}

}  // namespace linnet

// The stop engine: the same text in different pieces ends alike; a banned phrase is never shown. Input: two bytes that
// say how the text is cut and how many tokens come first (min_tokens), then fields separated by newlines: a stop string,
// a pattern, a pattern of the whole text, a word, a phrase, and the text.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/utf8.h"
#include "sampling/stop_engine.h"
#include "sampling/vocabulary.h"

namespace {

using linnet::StopOutcome;

struct Ended {
  std::string shown;
  int reason = -1;
  bool operator==(const Ended&) const = default;
};

Ended run(linnet::StopEngine engine, std::string_view text, size_t piece) {
  Ended ended;
  StopOutcome outcome;
  for (size_t at = 0; at < text.size() && outcome.action != StopOutcome::Action::end; at += piece) {
    outcome = engine.add({.id = 1, .bytes = text.substr(at, piece)});
    ended.shown += outcome.text;
  }
  if (outcome.action != StopOutcome::Action::end) {
    outcome = engine.flush();
    ended.shown += outcome.text;
  }
  if (outcome.action == StopOutcome::Action::end) ended.reason = int(outcome.reason);
  return ended;
}

// Token i is piece i of the text; a token that is taken back gives way to the piece after it.
void run_with_phrase(linnet::StopEngine engine, std::string_view text, size_t piece, const std::string& phrase) {
  std::vector<std::string> tokens;
  std::string shown;
  for (size_t at = 0; at < text.size(); at += piece) {
    const std::string bytes(text.substr(at, piece));
    const StopOutcome outcome = engine.add({.id = 1, .bytes = bytes});
    if (outcome.take_back > int64_t(tokens.size())) std::abort();
    tokens.resize(tokens.size() - size_t(outcome.take_back));
    if (outcome.keep_token) tokens.push_back(bytes);
    shown += outcome.text;
    if (engine.tokens() != int64_t(tokens.size())) std::abort();
    if (outcome.action == StopOutcome::Action::end) break;
  }
  shown += engine.flush().text;
  std::string kept;
  for (const std::string& token : tokens) kept += token;
  if (kept.find(phrase) != kept.npos || !linnet::utf8_valid(shown)) std::abort();
  if (linnet::utf8_valid(kept) && !kept.starts_with(shown)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 4096) return 0;
  const size_t piece = 1 + data[0] % 9;
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::array<std::string, 5> fields;
  for (std::string& field : fields) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  linnet::StopParams params;
  params.max_tokens = -1;
  if (!fields[0].empty()) params.stop = {fields[0]};
  if (!fields[1].empty()) params.pattern_conditions.push_back({fields[1]});
  if (!fields[2].empty()) params.pattern_conditions.push_back({fields[2], linnet::PatternCondition::Match::full});
  if (!fields[3].empty()) params.grammar_triggers = {{.type = linnet::Trigger::Type::word, .value = fields[3]}};
  params.indent = data[0] % 5 - 1;
  const linnet::PlainVocabulary vocabulary(10);
  const auto engine = linnet::StopEngine::create(params, vocabulary);
  if (!engine) return 0;
  if (!(run(*engine, rest, 1) == run(*engine, rest, piece))) std::abort();
  if (fields[4].empty()) return 0;
  params.banned_phrases = {fields[4]};
  params.min_tokens = data[1] % 16;
  const auto banning = linnet::StopEngine::create(params, vocabulary);
  if (!banning) return 0;
  run_with_phrase(*banning, rest, piece, fields[4]);
  return 0;
}

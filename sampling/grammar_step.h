// The step that keeps the generated text to a grammar.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/grammar.h"
#include "sampling/step.h"
#include "sampling/triggers.h"

namespace linnet {

// Masks the tokens that the grammar does not allow next. It follows what is generated, not the prompt.
//
// A lazy grammar allows everything until one of its triggers fires in the generated text; then the grammar's text begins
// where the trigger says: at its first capture group, else at the start of its match. After a token trigger it begins
// with that token, or behind it where the token has no text and the grammar does not name it.
class GrammarStep {
 public:
  static constexpr std::string_view kName = "grammar";

  static Result<GrammarStep> make(const StepInput&);
  bool neutral() const { return !matcher_; }
  // Computes the mask for the next token ahead, for example while a forward pass runs.
  void prepare();
  bool can_prepare() const { return matcher_ && started() && !ready_; }
  Status apply(Candidates&);
  void accept(const Accepted&);
  void rewind(std::span<const int32_t> text);
  std::string describe() const;

  // Whether the text is complete and an end-of-generation token has said so.
  bool ended() const { return ended_; }
  // Whether nothing but end-of-generation tokens may come next. Needs the mask, as apply() does.
  bool only_end();
  // Bytes that every continuation begins with.
  std::string forced() const;

 private:
  // What a generated token did.
  enum class Effect : uint8_t { waited, began, matched, lost, too_ambiguous };

  GrammarStep() = default;
  Effect follow(int32_t token);
  Effect wait(int32_t token);
  Effect begin(std::string_view text);
  bool started() const { return effects_.empty() ? !triggers_ : effects_.back() != Effect::waited; }
  bool lost() const { return !effects_.empty() && effects_.back() >= Effect::lost; }
  Effect refused() const { return matcher_->too_ambiguous() ? Effect::too_ambiguous : Effect::lost; }
  Status look();

  std::string source_;
  std::optional<GrammarMatcher> matcher_;
  const SamplingVocabulary* vocabulary_ = nullptr;
  std::optional<TriggerMatcher> triggers_;  // of a lazy one
  std::string waiting_;                     // the text that triggers have looked at
  std::vector<Effect> effects_;             // [generated tokens]
  bool ended_ = false;
  std::vector<uint64_t> allowed_;
  bool ready_ = false;  // allowed_ is for the next token
};

}  // namespace linnet

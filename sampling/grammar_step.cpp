#include "sampling/grammar_step.h"

#include <bit>

#include "sampling/sampler_cache.h"

namespace linnet {

Result<GrammarStep> GrammarStep::make(const StepInput& in) {
  const GrammarSource& source = in.params.grammar;
  GrammarStep step;
  if (source.kind == GrammarSource::Kind::none) return step;
  if (source.lazy && source.triggers.empty()) {
    return fail(Code::option_range,
                "grammar_lazy is true and grammar_triggers is empty: expected at least one trigger, since the grammar "
                "would never start; give one, or set grammar_lazy to false");
  }
  const auto compile = [&]() -> Result<std::shared_ptr<const Grammar>> {
    if (in.cache) return in.cache->grammar(source);
    LINNET_TRY(const GrammarRules rules, grammar_rules(source, in.vocabulary));
    return Grammar::compile(rules, std::make_shared<const TokenTrie>(in.vocabulary));
  };
  LINNET_TRY(auto grammar, compile());
  step.matcher_.emplace(std::move(grammar));
  step.vocabulary_ = &in.vocabulary;
  step.source_ = grammar_kind_name(source.kind);
  if (!source.lazy) return step;
  step.source_ += fmt::format(", lazy with {} triggers", source.triggers.size());
  LINNET_TRY(step.triggers_, TriggerMatcher::create(source.triggers, in.vocabulary.size(), "grammar_triggers"));
  return step;
}

Status GrammarStep::look() {
  if (ready_) return {};
  if (lost() && effects_.back() == Effect::too_ambiguous) {
    return fail(
        Code::grammar_limit,
        "reading the generated text takes more steps or memory than is allowed for a token: the grammar ({}) is "
        "too ambiguous here; make its alternatives begin differently",
        source_);
  }
  if (lost()) {
    return fail(Code::grammar_dead_end,
                "the text has left its grammar ({}): a token was accepted that the grammar does not allow there, or a "
                "lazy grammar's trigger fired inside of a text that it does not allow",
                source_);
  }
  allowed_.resize((size_t(vocabulary_->size()) + 63) / 64);
  LINNET_CHECK(matcher_->mask(allowed_));
  ready_ = true;
  return {};
}

void GrammarStep::prepare() {
  // What fails here is said by apply().
  if (matcher_ && started()) static_cast<void>(bool(look()));
}

Status GrammarStep::apply(Candidates& c) {
  if (!matcher_ || !started()) return {};
  LINNET_CHECK(look());
  c.mask(allowed_);
  return {};
}

GrammarStep::Effect GrammarStep::begin(std::string_view text) {
  return matcher_->accept_bytes(text) ? Effect::began : refused();
}

GrammarStep::Effect GrammarStep::wait(int32_t token) {
  const std::string_view bytes = vocabulary_->bytes(token);
  const auto by_token = triggers_->on_token(token);
  waiting_ += bytes;
  const auto match = triggers_->push(bytes);
  if (by_token) {
    if (matcher_->accept(token)) return Effect::began;
    return begin(bytes);
  }
  if (!match) return Effect::waited;
  return begin(std::string_view(waiting_).substr(size_t(match->begin)));
}

GrammarStep::Effect GrammarStep::follow(int32_t token) {
  if (lost()) return effects_.back();
  if (!started()) return wait(token);
  if (!matcher_->accept(token)) return refused();
  ended_ = vocabulary_->is_eog(token);
  return Effect::matched;
}

void GrammarStep::accept(const Accepted& a) {
  if (!matcher_ || !a.generated) return;
  ready_ = false;
  effects_.push_back(follow(a.text.back()));
}

void GrammarStep::rewind(std::span<const int32_t> text) {
  if (effects_.empty()) return;
  ready_ = false;
  ended_ = false;
  const Effect effect = effects_.back();
  effects_.pop_back();
  const bool waited_before = triggers_ && (effects_.empty() || effects_.back() == Effect::waited);
  if (effect == Effect::matched || effect == Effect::began) matcher_->rewind(1);
  if (!waited_before) return;
  waiting_.resize(waiting_.size() - vocabulary_->bytes(text.back()).size());
  triggers_->rewind(waiting_.size(), 0);
}

bool GrammarStep::only_end() {
  if (!matcher_ || !started() || !look()) return false;
  for (size_t word = 0; word < allowed_.size(); ++word) {
    for (uint64_t bits = allowed_[word]; bits != 0; bits &= bits - 1) {
      if (!vocabulary_->is_eog(int32_t(word * 64 + size_t(std::countr_zero(bits))))) return false;
    }
  }
  return true;
}

std::string GrammarStep::forced() const {
  return matcher_ && started() && !lost() && !ended_ ? matcher_->forced() : std::string();
}

std::string GrammarStep::describe() const { return matcher_ ? fmt::format("grammar({})", source_) : "grammar(none)"; }

}  // namespace linnet

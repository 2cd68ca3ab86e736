#include "sampling/custom_step.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// What comes out of foreign code: its result, or what it threw as an error.
template <class Call>
auto guarded(std::string_view name, std::string_view what, Call call) -> decltype(call()) {
  try {
    auto result = call();
    if (result) return result;
    return fail(Code::sampler_failed, "the custom sampler {} failed in {}: {}", name, what, result.error().message);
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory, "no memory is left for the custom sampler {} in {}", name, what);
  } catch (const std::exception& e) {
    return fail(Code::sampler_failed, "the custom sampler {} threw an exception in {}: {}", name, what,
                quoted(e.what(), 1024));
  } catch (...) {
    return fail(Code::sampler_failed, "the custom sampler {} threw an exception of unknown type in {}", name, what);
  }
}

Result<std::unique_ptr<CustomSampler>> present(Result<std::unique_ptr<CustomSampler>> made) {
  if (made && !*made) return fail(Code::sampler_failed, "it made none");
  return made;
}

}  // namespace

Result<Custom> Custom::make(const StepInput& in, const std::string& name) {
  LINNET_TRY(const Json parameters, parse_json(in.params.custom_parameters));
  if (!parameters.is_object()) {
    return fail(Code::option_type, "custom_parameters is {}, expected an object with the parameters of the sampler",
                parameters.type_name());
  }
  Custom step;
  if (name.empty()) {
    if (parameters.members().empty()) return step;
    return fail(Code::option_range, "there are custom_parameters but no custom_sampler, expected the sampler's name");
  }
  const CustomFactory* factory = in.custom ? in.custom->find(name) : nullptr;
  if (!factory) {
    const std::vector<std::string_view> names = in.custom ? in.custom->names() : std::vector<std::string_view>();
    if (names.empty()) {
      return fail(Code::sampler_unknown, "there is no custom sampler {}: no sampler library is loaded", quoted(name));
    }
    return fail(Code::sampler_unknown, "there is no custom sampler {}; there are {}", quoted(name),
                fmt::join(names, ", "));
  }
  const CustomInput input{in.vocabulary, in.context};
  LINNET_TRY(step.sampler_, guarded(name, "create", [&] { return present((*factory)(parameters, input)); }));
  LINNET_TRY(step.selects_, guarded(name, "selects", [&]() -> Result<bool> { return step.sampler_->selects(); }));
  step.name_ = name;
  step.stream_ = in.stream(kStream);
  step.generated_.reserve(size_t(std::min<int64_t>(in.context, 4096)));
  return step;
}

Custom::Custom(const Custom& other)
    : name_(other.name_),
      stream_(other.stream_),
      selects_(other.selects_),
      generated_(other.generated_),
      behind_(other.behind_),
      failure_(other.failure_) {
  if (!other.sampler_) return;
  auto made = guarded(name_, "clone", [&] { return present(other.sampler_->clone()); });
  if (made) {
    sampler_ = *std::move(made);
  } else {
    failure_ = made.error();
  }
}

void Custom::tell(int32_t token, bool generated) {
  if (failure_) failure_ = guarded(name_, "accept", [&] { return sampler_->accept(token, generated); });
}

void Custom::catch_up(std::span<const int32_t> text) {
  if (!behind_ || !sampler_) return;
  behind_ = false;
  failure_ = guarded(name_, "reset", [&]() -> Status {
    sampler_->reset();
    return {};
  });
  for (size_t i = 0; i < text.size(); ++i) tell(text[i], generated_[i] != 0);
}

void Custom::accept(const Accepted& a) {
  catch_up(a.text.first(a.text.size() - 1));
  generated_.push_back(a.generated);
  tell(a.text.back(), a.generated);
}

// Replaying the text is left to the next call that needs the sampler: many tokens may be taken back one after another.
void Custom::rewind(std::span<const int32_t>) {
  generated_.pop_back();
  behind_ = true;
}

Status Custom::apply(Candidates& c) {
  catch_up(c.history());
  LINNET_CHECK(failure_);
  const std::span<const double> p = c.probabilities();
  const std::span<const Candidate> list = c.list();
  ids_.resize(list.size());
  logits_.resize(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    ids_[i] = list[i].id;
    logits_[i] = list[i].logit;
  }
  keep_.assign(list.size(), 1);
  CustomCandidates seen{.ids = ids_,
                        .p = p,
                        .logits = logits_,
                        .keep = keep_,
                        .vocabulary_size = c.vocabulary_size(),
                        .position = c.position(),
                        .history = c.history(),
                        .source = c,
                        .stream = stream_};
  LINNET_CHECK(guarded(name_, "apply", [&] { return sampler_->apply(seen); }));
  for (size_t i = 0; i < list.size(); ++i) {
    if (!keep_[i]) logits_[i] = -std::numeric_limits<float>::infinity();
  }
  // The tokens are those of the list, whatever became of the copies that the sampler saw.
  for (size_t i = 0; i < list.size(); ++i) ids_[i] = list[i].id;
  LINNET_CHECK(check(seen));
  c.set_list(logits_);
  if (selects_) c.pick(seen.picked);
  return {};
}

Status Custom::check(const CustomCandidates& seen) const {
  bool any = false;
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (!(logits_[i] <= std::numeric_limits<float>::max()))
      return wrong(
          fmt::format("gave the token {} the logit {}, expected a finite number or -infinity", ids_[i], logits_[i]));
    any = any || logits_[i] >= std::numeric_limits<float>::lowest();
  }
  if (!any) return wrong(fmt::format("dropped all {} tokens, expected at least one to stay", ids_.size()));
  if (!selects_) {
    if (seen.picked == -1) return {};
    return wrong(
        fmt::format("picked the token {}, expected a pick only from a sampler that says it selects", seen.picked));
  }
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), seen.picked);
  if (at == ids_.end() || *at != seen.picked)
    return wrong(fmt::format("picked {}, expected one of the {} tokens it was given", seen.picked, ids_.size()));
  if (!(logits_[size_t(at - ids_.begin())] >= std::numeric_limits<float>::lowest()))
    return wrong(fmt::format("picked the token {}, which it dropped", seen.picked));
  return {};
}

Error Custom::wrong(std::string_view what) const {
  return fail(Code::sampler_failed, "the custom sampler {} {}", name_, what);
}

std::string Custom::describe() const {
  if (!sampler_) return fmt::format("{}()", name_);
  const auto text = guarded(name_, "describe", [&]() -> Result<std::string> { return sampler_->describe(); });
  return fmt::format("{}({})", name_, text ? *text : text.error().message);
}

}  // namespace linnet

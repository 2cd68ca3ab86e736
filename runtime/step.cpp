#include "runtime/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "kernels/cpu/pool.h"

namespace linnet {
namespace {

constexpr int64_t kLogitsBytes = 32 << 20;  // of rows beyond one per job

// The whole row, before anything is masked: a NaN that a mask would hide is one, too.
Status check_finite(const Kernels& kernels, std::span<const float> logits, int64_t position) {
  const float max = kernels.max(logits.data(), static_cast<int64_t>(logits.size()));
  if (std::isfinite(max)) return {};
  const auto bad =
      std::ranges::find_if(logits, [](float logit) { return !(logit < std::numeric_limits<float>::infinity()); });
  const std::string what =
      bad == logits.end() ? "all are -inf" : fmt::format("logit {} is {}", bad - logits.begin(), *bad);
  return fail(
      Code::logits_not_finite,
      "the {} logits after position {} are not finite: {}; the model's weights or its arithmetic are broken for "
      "this input, check the file with `linnet validate`",
      logits.size(), position, what);
}

}  // namespace

void Step::remove(const Job& job) {
  std::erase_if(parts_, [&](const Part& part) { return part.job == &job; });
}

int64_t Step::room(const Job& job, int64_t rows) const {
  if (!job.wants_every_row()) return rows;
  const int64_t most = std::max<int64_t>(1, kLogitsBytes / (model_.facts.vocab * int64_t{sizeof(float)}));
  int64_t taken = 0;
  for (const Part& part : parts_) {
    taken += std::max<int64_t>(0, part.begin + part.rows - std::max(part.begin, part.job->first_wanted()));
  }
  const int64_t unwanted = std::max<int64_t>(0, job.first_wanted() - job.sequence->size());
  return std::min(rows, unwanted + std::max<int64_t>(0, most - taken));
}

Status Step::run() {
  LINNET_CHECK(forward_pass_and_masks());
  use_rows_in_parallel();
  for (WantedRow& row : wanted_) {
    if (row.error && !parts_[row.part].error) parts_[row.part].error = std::move(row.error);
  }
  return {};
}

// Masks of grammars do not depend on the logits.
Status Step::forward_pass_and_masks() {
  struct Finish {
    MasksAhead& masks;
    ~Finish() { masks.finish(); }
  } const finish{masks_};
  for (const Part& part : parts_) {
    if (part.job->samples(part.begin, part.rows) && part.job->chain->can_prepare()) masks_.add(*part.job->chain);
  }
  return forward_pass();
}

Status Step::forward_pass() {
  const size_t groups = model_.groups().size();
  rows_.clear();
  wanted_.clear();
  places_.clear();
  size_t total = 0;
  for (const Part& part : parts_) total += static_cast<size_t>(part.rows);
  places_.reserve(total * groups);  // rows point into it
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const Job& job = *part.job;
    for (int64_t p = part.begin; p < part.begin + part.rows; ++p) {
      BatchRow& row = rows_.emplace_back();
      row.position[0] = p;
      row.token = job.tokens[static_cast<size_t>(p)];
      row.wants_logits = p >= job.first_wanted();
      row.places = places_.data() + places_.size();
      for (size_t g = 0; g < groups; ++g) places_.push_back(job.sequence->place(static_cast<int32_t>(g), p));
      if (row.wants_logits) wanted_.push_back({i, p, {}});
    }
  }
  const int64_t floats = static_cast<int64_t>(wanted_.size()) * model_.facts.vocab;
  if (floats > logits_.size()) {
    logits_ = {};
    LINNET_TRY(logits_, Aligned<float>::make(floats));
  }
  return forward_.run(rows_, logits_.data());
}

void Step::use_row(WantedRow& row, float* logits) {
  Part& part = parts_[row.part];
  Job& job = *part.job;
  const std::span<float> all(logits, static_cast<size_t>(model_.facts.vocab));
  const auto position = static_cast<size_t>(row.position);
  if (job.kind == JobKind::all_logits || job.kind == JobKind::last_logits) {
    const size_t index = job.kind == JobKind::all_logits ? position : 0;
    std::memcpy(job.values.data() + index * all.size(), logits, all.size_bytes());
    return;
  }
  if (Status finite = check_finite(forward_.kernels(), all, row.position); !finite) {
    row.error = finite.error();
    return;
  }
  if (job.kind == JobKind::generate && row.position == job.end() - 1) {
    if (job.room == 0) return;  // only the prompt was asked for
    Result<int32_t> token = job.sample(all, forward_.kernels(), model_.tokenizer());
    if (token) {
      part.token = *token;
    } else {
      row.error = token.error();
    }
    return;
  }
  const int64_t most = job.kind == JobKind::generate ? job.request->prompt_probs : 0;
  RowScores scores = score_logits(forward_.kernels(), all, job.tokens[position + 1], most);
  if (job.kind == JobKind::score) {
    job.values[position] = scores.logprob;
  } else {
    job.completion.prompt_scores[position] = std::move(scores);
  }
}

// Nothing may be thrown across the pool.
void Step::use_rows_in_parallel() {
  const auto work = [](void* context, Team team) {
    Step& step = *static_cast<Step*>(context);
    for (size_t i = static_cast<size_t>(team.rank); i < step.wanted_.size(); i += static_cast<size_t>(team.size)) {
      WantedRow& row = step.wanted_[i];
      try {
        step.use_row(row, step.logits_.data() + static_cast<int64_t>(i) * step.model_.facts.vocab);
      } catch (const std::bad_alloc&) { row.error = Error{Code::out_of_memory, {}}; }
    }
  };
  if (wanted_.size() > 1) {
    forward_.pool().run(work, this);
  } else {
    forward_.pool().run_alone(work, this);
  }
}

}  // namespace linnet

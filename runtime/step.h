// One step's batch: rows of several jobs through the forward pass, then what each wanted row is for (a token, a
// log-probability, the logits themselves), side by side on the pool.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "gguf/base/aligned.h"
#include "runtime/forward.h"
#include "runtime/job.h"
#include "runtime/masks_ahead.h"

namespace linnet {

class Step {
 public:
  Step(const Model& model, Forward& forward) : model_(model), forward_(forward) {}

  // A job's part: positions [begin, begin + rows) of its sequence, reserved and not yet computed.
  struct Part {
    Job* job = nullptr;
    int64_t begin = 0;
    int64_t rows = 0;
    std::optional<int32_t> token;  // after run(): what was sampled
    std::optional<Error> error;    // after run(): of this job alone
  };

  void clear() { parts_.clear(); }
  void add(Job& job, int64_t begin, int64_t rows) { parts_.push_back({&job, begin, rows, {}, {}}); }
  void remove(const Job& job);
  std::span<Part> parts() { return parts_; }
  // The logits of one step are kept small: how many of `rows` positions of a job, the next ones, may still be added.
  int64_t room(const Job& job, int64_t rows) const;

  // An error, or an exception, concerns all parts.
  Status run();
  // Grammar masks that were ready before the logits were, since the beginning.
  int64_t masks_ahead() const { return masks_.prepared(); }

 private:
  struct WantedRow {
    size_t part;
    int64_t position;
    std::optional<Error> error;
  };

  Status forward_pass();
  Status forward_pass_and_masks();
  void use_row(WantedRow& row, float* logits);
  void use_rows_in_parallel();

  const Model& model_;
  Forward& forward_;
  std::vector<Part> parts_;
  std::vector<BatchRow> rows_;
  std::vector<RowPlace> places_;  // [rows][groups]
  std::vector<WantedRow> wanted_;
  Aligned<float> logits_;  // [wanted][vocab]
  MasksAhead masks_;
};

}  // namespace linnet

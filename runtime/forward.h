// The forward pass: rows of tokens in, logits out. One pass serves every architecture (runtime/model.h says how they
// differ) and every mix of prefill and decode rows; it knows pages only as places.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "kernels/kernels.h"
#include "runtime/model.h"

namespace linnet {

// One row of a batch.
struct BatchRow {
  int64_t position[4] = {};          // in the text, dropped positions included; text models use the first component
  int32_t token = 0;                 // ignored when embedding is set
  const float* embedding = nullptr;  // [dim] or null
  bool wants_logits = false;
  bool wants_hidden = false;         // the normed last hidden state, [dim]
  const RowPlace* places = nullptr;  // [model.groups().size()]: where it lives in each layer group
};

// Sees what is multiplied with each matrix, to measure it. Called between verbs, on the thread that drives them.
class InputWatcher {
 public:
  virtual ~InputWatcher() = default;
  virtual void see(const Weight& w, const float* x, int64_t n) = 0;  // x: [n][w.cols]
};

struct ForwardOptions {
  int32_t threads = 0;              // 0: min(8, physical cores)
  std::string backend;              // empty: LINNET_BACKEND of the environment, else the best this machine runs
  int64_t max_rows = 512;           // most rows of one call
  int64_t max_context = 0;          // most positions of one sequence; 0: the model's
  InputWatcher* watcher = nullptr;  // outlives the Forward
};

// Runs one model on one backend. Owns the thread pool and the workspace. One call at a time.
class Forward {
 public:
  static Result<std::unique_ptr<Forward>> create(const Model& model, const ForwardOptions& options);
  ~Forward();
  // logits: [rows with wants_logits][vocab], hidden: [rows with wants_hidden][dim] (may be null when no row wants it),
  // both in row order. All pages named by the rows are writable where the rows' own positions lie.
  Status run(std::span<const BatchRow> rows, float* logits, float* hidden = nullptr);
  const Kernels& kernels() const;
  Pool& pool();  // for work between steps (sampling in parallel)
  int32_t threads() const;
  int64_t workspace_bytes() const;
  // Whether a text's middle can be dropped (runtime/sequence_shift.cpp), or a sentence why not: positions must be turns of
  // the keys, or distances, or nothing.
  Status can_shift() const;
  // Turns the cached keys of a page by `delta` positions (context shift).
  void rotate_page(int32_t group, std::byte* page, int64_t delta);

 private:
  struct Impl;
  explicit Forward(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

// Hidden states of texts, and one vector for each: what encoders are for, and decoders can do too.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/forward.h"
#include "runtime/pages.h"

namespace linnet {

// Not thread-safe: one call at a time.
class Embedder {
 public:
  // options.max_context: the longest text (0: the model's). An encoder needs a workspace for all of it at once;
  // options.max_rows is for decoders.
  static Result<std::unique_ptr<Embedder>> create(std::shared_ptr<const Model> model, ForwardOptions options);

  // The last hidden states, normed: [tokens][dim].
  Result<std::vector<float>> hidden(std::span<const int32_t> tokens);
  int64_t dim() const { return model_->facts.dim; }

 private:
  Embedder(std::shared_ptr<const Model> model, std::unique_ptr<Forward> forward, const ForwardOptions& options);

  std::shared_ptr<const Model> model_;
  std::unique_ptr<Forward> forward_;
  PagePool pool_;
  int64_t max_rows_, max_context_;
};

// One vector from hidden states [n][dim], n >= 1; Pooling::none gives them all.
std::vector<float> pool(std::span<const float> hidden, int64_t dim, Pooling pooling);

// Scales each of the vectors [n][dim] to length 1; vectors of zeros stay.
void normalize(std::span<float> vectors, int64_t dim);

}  // namespace linnet

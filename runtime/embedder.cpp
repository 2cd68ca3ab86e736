#include "runtime/embedder.h"

#include <algorithm>
#include <cmath>

#include "runtime/sequence.h"

namespace linnet {

Result<std::unique_ptr<Embedder>> Embedder::create(std::shared_ptr<const Model> model, ForwardOptions options) {
  if (!model) return fail(Code::invalid_argument, "the embedder needs a model, got none");
  options.max_context = model->context_for(options.max_context);
  options.max_rows = model->facts.causal ? std::min(options.max_rows, options.max_context) : options.max_context;
  LINNET_TRY(auto forward, Forward::create(*model, options));
  return std::unique_ptr<Embedder>(new Embedder(std::move(model), std::move(forward), options));
}

Embedder::Embedder(std::shared_ptr<const Model> model, std::unique_ptr<Forward> forward, const ForwardOptions& options)
    : model_(std::move(model)),
      forward_(std::move(forward)),
      pool_(model_->groups(), options.max_context / kPageTokens + 2, 0),
      max_rows_(options.max_rows),
      max_context_(options.max_context) {}

Result<std::vector<float>> Embedder::hidden(std::span<const int32_t> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  if (count == 0) return fail(Code::prompt_empty, "there is nothing to embed; give a text");
  if (count > max_context_)
    return fail(Code::prompt_too_long, "the text has {} tokens, but at most {} are read; shorten it", count,
                max_context_);
  std::vector<float> all(static_cast<size_t>(count * dim()));
  Sequence sequence(pool_, 0, false);
  const size_t groups = model_->groups().size();
  for (int64_t done = 0; done < count; done += max_rows_) {
    const int64_t n = std::min(max_rows_, count - done);
    LINNET_CHECK(sequence.append(tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(n))));
    std::vector<RowPlace> places;
    for (int64_t i = done; i < done + n; ++i)
      for (size_t g = 0; g < groups; ++g) places.push_back(sequence.place(static_cast<int32_t>(g), i));
    std::vector<BatchRow> rows;
    for (int64_t i = 0; i < n; ++i)
      rows.push_back({.position = {done + i},
                      .token = tokens[static_cast<size_t>(done + i)],
                      .wants_hidden = true,
                      .places = places.data() + static_cast<size_t>(i) * groups});
    LINNET_CHECK(forward_->run(rows, nullptr, all.data() + done * dim()));
    sequence.mark_computed(sequence.size());
  }
  return all;
}

std::vector<float> pool(std::span<const float> hidden, int64_t dim, Pooling pooling) {
  const auto width = static_cast<size_t>(dim);
  const size_t n = hidden.size() / width;
  if (pooling == Pooling::none) return {hidden.begin(), hidden.end()};
  if (pooling != Pooling::mean) {
    const auto row = hidden.subspan((pooling == Pooling::cls ? 0 : n - 1) * width, width);
    return {row.begin(), row.end()};
  }
  std::vector<float> mean(width);
  for (size_t d = 0; d < width; ++d) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(hidden[i * width + d]);
    mean[d] = static_cast<float>(sum / static_cast<double>(n));
  }
  return mean;
}

void normalize(std::span<float> vectors, int64_t dim) {
  const auto width = static_cast<size_t>(dim);
  for (size_t at = 0; at < vectors.size(); at += width) {
    double square = 0;
    for (const float x : vectors.subspan(at, width)) square += static_cast<double>(x) * static_cast<double>(x);
    if (square == 0) continue;
    for (float& x : vectors.subspan(at, width)) x = static_cast<float>(static_cast<double>(x) / std::sqrt(square));
  }
}

}  // namespace linnet

// A recorded run: the logits that the model gave at every generated token, before the sampler chain, with all that is
// needed to sample from them again. Written by `linnet record`, read by `linnet sample --recording`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/os.h"
#include "sampling/vocabulary.h"

namespace linnet {

struct Recording {
  int32_t vocabulary = 0;        // tokens
  uint64_t vocabulary_hash = 0;  // of their texts: vocabulary_hash()
  int64_t context = 0;           // positions: what a window of -1 means
  uint64_t seed = 0;
  std::string options;            // the run's options that are not the defaults: a JSON object
  std::vector<int32_t> prompt;    // token ids
  std::vector<int32_t> tokens;    // generated; without the one that ended the text
  std::span<const float> logits;  // [tokens][vocabulary]; row i is what tokens[i] was picked from

  std::span<const float> row(size_t i) const {
    return logits.subspan(i * static_cast<size_t>(vocabulary), static_cast<size_t>(vocabulary));
  }
  std::shared_ptr<const os::Mapping> file;  // keeps `logits` of a recording that was read
};

uint64_t vocabulary_hash(const SamplingVocabulary& vocabulary);

// The file appears under its name only when it is complete.
Status write_recording(const std::string& path, const Recording& recording);
// Everything is checked but the logits' values; NaN and infinities are found by the chain.
Result<Recording> read_recording(const std::string& path);

}  // namespace linnet

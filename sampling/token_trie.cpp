#include "sampling/token_trie.h"

#include <algorithm>
#include <numeric>

namespace linnet {
namespace {

// Subtrees with fewer nodes below are walked as fast as they are looked up.
constexpr uint32_t kSummarized = 8;

// The beginning of a UTF-8 character: what must come next.
struct Utf8Place {
  static constexpr uint8_t kBad = 0xff;
  uint8_t missing = 0;  // continuation bytes; kBad: this is no UTF-8
  uint8_t low = 0x80, high = 0xbf;

  Utf8Place next(uint8_t byte) const {
    if (missing == kBad) return *this;
    if (missing > 0) return byte >= low && byte <= high ? Utf8Place{uint8_t(missing - 1)} : Utf8Place{kBad};
    if (byte < 0x80) return {};
    if (byte >= 0xc2 && byte <= 0xdf) return {1};
    if (byte >= 0xe0 && byte <= 0xef)
      return {2, uint8_t(byte == 0xe0 ? 0xa0 : 0x80), uint8_t(byte == 0xed ? 0x9f : 0xbf)};
    if (byte >= 0xf0 && byte <= 0xf4)
      return {3, uint8_t(byte == 0xf0 ? 0x90 : 0x80), uint8_t(byte == 0xf4 ? 0x8f : 0xbf)};
    return {kBad};
  }
};

}  // namespace

TokenTrie::TokenTrie(const SamplingVocabulary& vocabulary) : size_(vocabulary.size()) {
  offset_.reserve(size_t(size_) + 1);
  for (int32_t token = 0; token < size_; ++token) {
    offset_.push_back(uint32_t(text_.size()));
    is_eog_.push_back(vocabulary.is_eog(token));
    if (is_eog_.back()) {
      eog_.push_back(token);
      continue;
    }
    const std::string_view bytes = vocabulary.bytes(token);
    // Offsets and node numbers have 32 bits; no vocabulary of a model comes near.
    if (bytes.empty() || text_.size() + bytes.size() > INT32_MAX) continue;
    text_ += bytes;
    ranked_.push_back(token);
  }
  offset_.push_back(uint32_t(text_.size()));
  all_.resize(mask_words());
  for (const int32_t token : ranked_) all_[size_t(token) / 64] |= uint64_t(1) << (token % 64);
  std::sort(ranked_.begin(), ranked_.end(), [&](int32_t a, int32_t b) {
    const int order = bytes(a).compare(bytes(b));
    return order != 0 ? order < 0 : a < b;
  });
  build();
  summarize();
}

std::string_view TokenTrie::bytes(int32_t token) const {
  const size_t begin = offset_[size_t(token)];
  return std::string_view(text_).substr(begin, offset_[size_t(token) + 1] - begin);
}

void TokenTrie::build() {
  nodes_.push_back({.end = 0, .first = 0, .summary = -1, .byte = 0});
  std::vector<uint32_t> path{0};  // the nodes of the previous token's prefixes
  std::string_view previous;
  for (size_t rank = 0; rank < ranked_.size(); ++rank) {
    const std::string_view text = bytes(ranked_[rank]);
    size_t common = 0;
    while (common < previous.size() && common < text.size() && previous[common] == text[common]) ++common;
    for (; path.size() > common + 1; path.pop_back()) nodes_[path.back()].end = uint32_t(nodes_.size());
    for (size_t i = common; i < text.size(); ++i) {
      path.push_back(uint32_t(nodes_.size()));
      nodes_.push_back({.end = 0, .first = uint32_t(rank), .summary = -1, .byte = uint8_t(text[i])});
    }
    previous = text;
  }
  for (; !path.empty(); path.pop_back()) nodes_[path.back()].end = uint32_t(nodes_.size());
  nodes_.push_back({.end = uint32_t(nodes_.size()) + 1, .first = uint32_t(ranked_.size()), .summary = -1, .byte = 0});
}

// From the last node to the first, so that children are done before their parent.
void TokenTrie::summarize() {
  const size_t count = nodes_.size() - 1;
  std::vector<uint32_t> parents(count, 0);
  std::vector<Utf8Place> places(count);
  std::vector<uint32_t> path;
  for (uint32_t i = 0; i < count; ++i) {
    while (!path.empty() && nodes_[path.back()].end <= i) path.pop_back();
    if (!path.empty()) {
      parents[i] = path.back();
      places[i] = places[path.back()].next(nodes_[i].byte);
    }
    path.push_back(i);
  }
  std::vector<Summary> below(count);
  for (size_t i = 0; i < count; ++i) below[i].whole = places[i].missing != Utf8Place::kBad;
  for (size_t i = count; i-- > 1;) {
    Summary& parent = below[parents[i]];
    const uint8_t byte = nodes_[i].byte;
    if (byte < 0x80) parent.ascii[byte / 64] |= uint64_t(1) << (byte % 64);
    parent.ascii[0] |= below[i].ascii[0];
    parent.ascii[1] |= below[i].ascii[1];
    parent.wide = parent.wide || byte >= 0x80 || below[i].wide;
    parent.whole = parent.whole && below[i].whole;
    parent.depth = std::max(parent.depth, below[i].depth + 1);
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (nodes_[i].end - i <= kSummarized) continue;
    nodes_[i].summary = int32_t(summaries_.size());
    summaries_.push_back(below[i]);
    summaries_.back().whole = below[i].whole && places[i].missing == 0;
  }
}

size_t TokenTrie::memory() const {
  return text_.capacity() + offset_.capacity() * sizeof(offset_[0]) + ranked_.capacity() * sizeof(ranked_[0]) +
         all_.capacity() * sizeof(all_[0]) + nodes_.capacity() * sizeof(Node) + summaries_.capacity() * sizeof(Summary);
}

}  // namespace linnet

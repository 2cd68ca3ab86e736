// One sequence of tokens and the pages that hold its keys and values.
//
// Life of a position: append() reserves it (pages are taken, shared ones copied), the forward pass writes it,
// mark_computed() declares it final. A page whose 64 positions are computed can then be found by its tokens, and other
// sequences adopt() it. Layer groups with a window let go of pages that no later row can see.
// A sequence belongs to its pool's thread and must be gone before the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/pages.h"

namespace linnet {

class Sequence {
 public:
  // Pages are shared only between equal salts, and not at all when `share` is false.
  Sequence(PagePool& pool, uint64_t salt, bool share);
  Sequence(Sequence&&) noexcept;
  Sequence& operator=(Sequence&&) noexcept;
  ~Sequence();

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  // positions reserved
  int64_t computed() const { return computed_; }                         // of them, positions that are final
  std::span<const int32_t> tokens() const { return tokens_; }
  uint64_t salt() const { return salt_; }

  // Continues with full pages that others have computed for the same tokens: `tokens` is the whole text, of which this
  // sequence is the beginning; at most `limit` positions are held afterwards. A page of its own that is not full is
  // given up when the full one is found. All positions must be computed. Returns size().
  int64_t adopt(std::span<const int32_t> tokens, int64_t limit);

  // Reserves positions for `tokens`: all of them, or an error (cache_full, out_of_memory) and nothing.
  Status append(std::span<const int32_t> tokens);

  // Declares the first `positions` (<= size()) to be computed.
  void mark_computed(int64_t positions);

  // Keeps the first `positions` and no more. A windowed group may have let go of pages that a row at `positions` would
  // see; then less is kept, what the index still has of it. Returns size().
  int64_t truncate(int64_t positions);

  // A second sequence with the same content; pages are shared until one of the two writes into them.
  Sequence fork() const;

  // Where the row at `position` < size() lives in a layer group. Valid until the sequence changes.
  RowPlace place(int32_t group, int64_t position) const;

  int64_t pages_held(int32_t group) const;
  // Pages that `positions` positions take in a group when up to `chunk` of them are reserved at once.
  static int64_t pages_needed(const LayerGroup& group, int64_t positions, int64_t chunk);

  // Whether this sequence stands at the beginning of a page that `other` is about to fill with the same tokens:
  // `tokens` and `other_tokens` are the whole texts. Waiting for it is cheaper than computing it twice.
  bool same_next_page(std::span<const int32_t> tokens, const Sequence& other,
                      std::span<const int32_t> other_tokens) const;

  // The content as bytes, and back. Resumed pages stay private: what comes from outside is never given to others, nor
  // is what is computed from it. The bytes are for the same model, page layout and build (runtime/sequence_park.cpp).
  std::vector<std::byte> park() const;
  static Result<Sequence> resume(PagePool& pool, std::span<const std::byte> bytes);

 private:
  // The pages of one group: absolute page number first + i.
  struct Held {
    int64_t first = 0;
    std::vector<Page*> pages;
    std::vector<std::byte*> data;  // of the same pages
    int64_t end() const { return first + static_cast<int64_t>(pages.size()); }
  };

  Held& held(size_t group) { return held_[group]; }
  const LayerGroup& group(size_t i) const { return pool_->groups()[i]; }
  Status make_writable(size_t group);
  Status extend_to(size_t group, int64_t pages);
  void drop_back(size_t group, int64_t pages);
  void drop_front(size_t group, int64_t first);
  void publish(int64_t page);
  void step_back_tip(int64_t pages);
  int64_t adoptable_end(int64_t start, std::span<PrefixNode* const> nodes) const;
  void clear();

  PagePool* pool_;
  uint64_t salt_;
  bool share_;
  int64_t computed_ = 0;
  std::vector<int32_t> tokens_;
  std::vector<Held> held_;     // [groups]
  PrefixNode* tip_ = nullptr;  // held: the node of the last page that was published or adopted; null: none yet
};

}  // namespace linnet

// One sequence of tokens and the pages that hold its keys and values.
//
// Life of a position: append() reserves it (pages are taken, shared ones copied), the forward pass writes it,
// mark_computed() declares it final. A page whose 64 positions are computed can then be found by its tokens, and other
// sequences adopt() it. Layer groups with a window let go of pages that no later row can see.
//
// A text that outgrows the context is shifted: positions behind the first keep() lose their pages, and the first ones
// are turned forward by as much. Positions of the text stay what they are (size(), tokens(), append() and truncate() know
// the whole text, with what was dropped); in the pages the rest moves together. docs/kv-cache.md tells the whole story.
// A sequence belongs to its pool's thread and must be gone before the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/pages.h"

namespace linnet {

class ByteCursor;

class Sequence {
 public:
  // Pages are shared only between equal salts, and not at all when `share` is false.
  Sequence(PagePool& pool, uint64_t salt, bool share);
  Sequence(Sequence&&) noexcept;
  Sequence& operator=(Sequence&&) noexcept;
  ~Sequence();

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  // positions reserved
  int64_t computed() const { return computed_; }                         // of them, positions that are final
  int64_t in_view() const { return size() - dropped_; }                  // of them, positions that have pages
  // Positions [keep, keep + dropped) of the text were dropped; 0 and 0 before the first shift.
  int64_t keep() const { return keep_; }
  int64_t dropped() const { return dropped_; }
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
  // see; then less is kept, what the index still has of it. So it is within what was dropped: the text before that is
  // whole again. Returns size().
  int64_t truncate(int64_t positions);

  // Turns the keys of a page of a layer group forward by `positions`, from where they were computed.
  using Turn = std::function<void(int32_t group, std::byte* page, int64_t positions)>;
  // Drops `discard` positions behind the first `keep`: both in whole pages, `discard` not 0, within computed positions in
  // view. A sequence that was shifted before goes on with the keep of then. From now on it adopts and publishes nothing.
  // All or an error (cache_full, out_of_memory) and nothing.
  Status shift(int64_t keep, int64_t discard, const Turn& turn);
  // The same for text that was never computed: all of this sequence (whole pages, not shifted yet) is kept, `tokens`
  // (whole pages) come after it and are dropped.
  Status skip(std::span<const int32_t> tokens, const Turn& turn);

  // A second sequence with the same content; pages are shared until one of the two writes into them.
  Sequence fork() const;

  // Where the row at `position` < size(), not a dropped one or before, lives in a layer group: its place among the
  // positions in view. Valid until the sequence changes.
  RowPlace place(int32_t group, int64_t position) const;

  int64_t pages_held(int32_t group) const;  // with the sinks as they were before they were turned
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
  // The pages of one group, numbered by the positions in view: first + i.
  struct Held {
    int64_t first = 0;
    std::vector<Page*> pages;
    std::vector<std::byte*> data;  // of the same pages
    // After a shift: the sinks as they were computed, pages [from / 64, keep / 64). Every shift turns copies of these, so
    // that rounding does not add up.
    std::vector<Page*> unturned;
    int64_t from = 0;  // rows see nothing before it: at a shift the window had passed it
    int64_t end() const { return first + static_cast<int64_t>(pages.size()); }
  };

  Held& held(size_t group) { return held_[group]; }
  const LayerGroup& group(size_t i) const { return pool_->groups()[i]; }
  int64_t seen_from(size_t group, int64_t place) const;
  // A shift in pages: sinks end at sinks_end, the tail begins at `tail`; `first` of this sequence.
  struct Cut {
    int64_t sinks_end, tail;
    bool first;
  };
  bool goes(const Cut& cut, const Held& next, int64_t page) const;
  Status make_room_for_sinks(size_t group, const Cut& cut, Held& next, std::vector<Page*>& fresh);
  void reuse(size_t group, const Cut& cut, const Held& next, std::vector<Page*>& fresh);
  void cut_group(size_t group, const Cut& cut, Held& next);
  Status check_shift(int64_t keep, int64_t discard) const;
  Status drop_middle(int64_t keep, int64_t gap, std::span<const int32_t> skipped, const Turn& turn);
  Status make_writable(size_t group);
  Status extend_to(size_t group, int64_t pages);
  Status resume_group(size_t group, ByteCursor& in);
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
  int64_t keep_ = 0, dropped_ = 0;
  std::vector<int32_t> tokens_;
  std::vector<Held> held_;     // [groups]
  PrefixNode* tip_ = nullptr;  // held: the node of the last page that was published or adopted; null: none yet
};

}  // namespace linnet

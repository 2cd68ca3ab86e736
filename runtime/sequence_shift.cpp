// The context shift of a sequence: pages in the middle go, the sinks turn forward by as much.
//
// Before and after, in pages, S the sinks, for keep = 2, discard = 3:
//
//   S S d d d t t t        the text from the beginning
//   S'S'      t t t        t keep their keys, and so their positions; S' are copies of S, their keys turned forward by
//                          all that was ever dropped: from every t they are as far away as in the shorter text
#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/sequence.h"

namespace linnet {
namespace {

// Pages that nobody names yet.
struct NewPages {
  explicit NewPages(PagePool& p, size_t groups) : pool(p), of(groups) {}
  NewPages(const NewPages&) = delete;
  NewPages& operator=(const NewPages&) = delete;
  ~NewPages() {
    for (const auto& pages : of)
      for (Page* page : pages) pool.drop(page);
  }
  PagePool& pool;
  std::vector<std::vector<Page*>> of;  // [groups]
};

}  // namespace

Status Sequence::check_shift(int64_t keep, int64_t discard) const {
  if (keep < 0 || discard <= 0 || keep % kPageTokens != 0 || discard % kPageTokens != 0 || computed_ != size()) {
    return fail(Code::invalid_argument,
                "a shift keeps {} positions and discards {} of {} ({} computed), expected multiples of {} and all of "
                "them computed",
                keep, discard, size(), computed_, kPageTokens);
  }
  for (size_t g = 0; g < held_.size(); ++g) {
    if (group(g).causal && !group(g).recurrent) continue;
    return fail(Code::unsupported, "this model's context cannot be shifted: it does not consist of keys of its own");
  }
  return {};
}

Status Sequence::shift(int64_t keep, int64_t discard, const Turn& turn) {
  if (dropped_ > 0) keep = keep_;
  LINNET_CHECK(check_shift(keep, discard));
  if (keep > in_view() || discard > in_view() - keep) {
    return fail(Code::invalid_argument, "a shift keeps {} positions and discards {}, but there are only {}", keep,
                discard, in_view());
  }
  return drop_middle(keep, discard, {}, turn);
}

Status Sequence::skip(std::span<const int32_t> tokens, const Turn& turn) {
  LINNET_CHECK(check_shift(size(), static_cast<int64_t>(tokens.size())));
  if (dropped_ > 0) return fail(Code::invalid_argument, "a sequence that was shifted cannot skip text");
  return drop_middle(size(), 0, tokens, turn);
}

// `gap` positions behind the first `keep` lose their pages, `skipped` never had any.
Status Sequence::drop_middle(int64_t keep, int64_t gap, std::span<const int32_t> skipped, const Turn& turn) {
  const int64_t sinks_end = keep / kPageTokens, tail = (keep + gap) / kPageTokens;
  const int64_t dropped = dropped_ + gap + static_cast<int64_t>(skipped.size());
  const bool first_shift = dropped_ == 0;
  std::vector<Held> next(held_.size());
  NewPages taken(*pool_, held_.size());
  const auto stays_unturned = [&](size_t g, int64_t page) {
    return first_shift && page >= next[g].from / kPageTokens && page < sinks_end;
  };

  // Everything that can fail. Pages of this sequence that go, and that nobody else uses, are used again: at once if
  // nobody could find them, else where the pool has no other.
  tokens_.reserve(tokens_.size() + skipped.size());
  for (size_t g = 0; g < held_.size(); ++g) {
    const Held& h = held_[g];
    next[g].from = std::max(h.from, std::min(group(g).visible_begin(in_view()), keep));
    const int64_t sinks = sinks_end - next[g].from / kPageTokens;
    int64_t own = 0, found = 0;
    for (int64_t page = h.first; page < std::min(tail, h.end()); ++page) {
      const Page& p = *h.pages[static_cast<size_t>(page - h.first)];
      if (stays_unturned(g, page) || p.refs > 1) continue;
      ++(p.writable() ? own : found);
    }
    taken.of[g].reserve(static_cast<size_t>(sinks));
    next[g].unturned.reserve(static_cast<size_t>(sinks));
    next[g].pages.reserve(h.pages.size() + static_cast<size_t>(sinks));
    next[g].data.reserve(h.pages.size() + static_cast<size_t>(sinks));
    while (static_cast<int64_t>(taken.of[g].size()) < sinks - own) {
      Result<Page*> page = pool_->take(static_cast<int32_t>(g));
      if (page) {
        taken.of[g].push_back(*page);
      } else if (static_cast<int64_t>(taken.of[g].size()) + found >= sinks - own) {
        break;
      } else {
        return page.error();
      }
    }
  }

  for (size_t g = 0; g < held_.size(); ++g) {
    Held &h = held_[g], &n = next[g];
    const auto sinks = static_cast<size_t>(sinks_end - n.from / kPageTokens);
    std::vector<Page*>& fresh = taken.of[g];
    const auto let_go = [&](Page* page, bool findable) {
      if (page->refs > 1 || fresh.size() == sinks || (page->node && !findable)) return false;
      if (page->node) pool_->index().detach(page);
      fresh.push_back(page);
      return true;
    };
    // Twice over the pages that go: those that can be found in the index are the second choice.
    for (const bool findable : {false, true}) {
      for (int64_t page = h.first; page < std::min(tail, h.end()); ++page) {
        Page*& p = h.pages[static_cast<size_t>(page - h.first)];
        if (p && !stays_unturned(g, page) && let_go(p, findable)) p = nullptr;
      }
    }
    for (int64_t page = h.first; page < h.end(); ++page) {
      Page* p = h.pages[static_cast<size_t>(page - h.first)];
      if (!p || page >= tail) continue;
      if (stays_unturned(g, page)) {
        n.unturned.push_back(p);
      } else {
        pool_->drop(p);
      }
    }
    const size_t passed = first_shift ? 0 : h.unturned.size() - sinks;
    for (size_t i = 0; i < h.unturned.size(); ++i) {
      if (i < passed) {
        pool_->drop(h.unturned[i]);
      } else {
        n.unturned.push_back(h.unturned[i]);
      }
    }
    for (size_t i = 0; i < sinks; ++i) {
      std::memcpy(fresh[i]->data, n.unturned[i]->data, static_cast<size_t>(group(g).page_bytes));
      turn(static_cast<int32_t>(g), fresh[i]->data, dropped);
      n.pages.push_back(fresh[i]);
    }
    fresh.clear();
    for (int64_t page = std::max(tail, h.first); page < h.end(); ++page) {
      n.pages.push_back(h.pages[static_cast<size_t>(page - h.first)]);
    }
    for (Page* page : n.pages) n.data.push_back(page->data);
    n.first = sinks > 0 ? n.from / kPageTokens : std::max(h.first, tail) - gap / kPageTokens;
    h = std::move(n);
  }
  tokens_.insert(tokens_.end(), skipped.begin(), skipped.end());
  keep_ = keep;
  dropped_ = dropped;
  computed_ = size();
  pool_->index().release(std::exchange(tip_, nullptr));
  return {};
}

}  // namespace linnet

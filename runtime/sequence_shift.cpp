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
  const Cut cut{keep / kPageTokens, (keep + gap) / kPageTokens, dropped_ == 0};
  const int64_t dropped = dropped_ + gap + static_cast<int64_t>(skipped.size());
  std::vector<Held> next(held_.size());
  NewPages sinks(*pool_, held_.size());
  tokens_.reserve(tokens_.size() + skipped.size());
  for (size_t g = 0; g < held_.size(); ++g) {
    next[g].from = std::max(held_[g].from, std::min(group(g).visible_begin(in_view()), keep));
    LINNET_CHECK(make_room_for_sinks(g, cut, next[g], sinks.of[g]));
  }
  for (size_t g = 0; g < held_.size(); ++g) {  // from here on nothing can fail
    reuse(g, cut, next[g], sinks.of[g]);
    cut_group(g, cut, next[g]);
    for (size_t i = 0; i < sinks.of[g].size(); ++i) {
      const Page& from = *next[g].unturned[i];
      std::memcpy(sinks.of[g][i]->data, from.data, static_cast<size_t>(group(g).page_bytes));
      turn(static_cast<int32_t>(g), sinks.of[g][i]->data, dropped);
    }
    next[g].pages.insert(next[g].pages.begin(), sinks.of[g].begin(), sinks.of[g].end());
    sinks.of[g].clear();
    for (Page* page : next[g].pages) next[g].data.push_back(page->data);
    held_[g] = std::move(next[g]);
  }
  tokens_.insert(tokens_.end(), skipped.begin(), skipped.end());
  keep_ = keep;
  dropped_ = dropped;
  computed_ = size();
  pool_->index().release(std::exchange(tip_, nullptr));
  return {};
}

// Whether a page of the table is no sink to be kept as it is and before the tail.
bool Sequence::goes(const Cut& cut, const Held& next, int64_t page) const {
  const bool sink = cut.first && page >= next.from / kPageTokens && page < cut.sinks_end;
  return !sink && page < cut.tail;
}

// Takes pages for the turned sinks, as far as those that go will not do: pages of this sequence that nobody else uses.
// Those that can be found in the index are only used where the pool has no other.
Status Sequence::make_room_for_sinks(size_t g, const Cut& cut, Held& next, std::vector<Page*>& fresh) {
  const Held& h = held_[g];
  const int64_t sinks = cut.sinks_end - next.from / kPageTokens;
  int64_t own = 0, findable = 0;
  for (int64_t page = h.first; page < h.end(); ++page) {
    const Page& p = *h.pages[static_cast<size_t>(page - h.first)];
    if (goes(cut, next, page) && p.refs == 1) ++(p.node ? findable : own);
  }
  const size_t most = h.pages.size() + static_cast<size_t>(sinks);
  next.pages.reserve(most);
  next.data.reserve(most);
  next.unturned.reserve(static_cast<size_t>(sinks));
  fresh.reserve(static_cast<size_t>(sinks));
  while (static_cast<int64_t>(fresh.size()) + own < sinks) {
    Result<Page*> page = pool_->take(static_cast<int32_t>(g));
    if (!page && static_cast<int64_t>(fresh.size()) + own + findable >= sinks) break;
    if (!page) return page.error();
    fresh.push_back(*page);
  }
  return {};
}

// Moves pages that go to `fresh` until it has one for each sink; null in the table.
void Sequence::reuse(size_t g, const Cut& cut, const Held& next, std::vector<Page*>& fresh) {
  Held& h = held_[g];
  const auto sinks = static_cast<size_t>(cut.sinks_end - next.from / kPageTokens);
  for (const bool findable : {false, true}) {
    for (int64_t page = h.first; page < h.end() && fresh.size() < sinks; ++page) {
      Page*& p = h.pages[static_cast<size_t>(page - h.first)];
      if (!p || !goes(cut, next, page) || p->refs > 1 || (p->node && !findable)) continue;
      if (p->node) pool_->index().detach(p);
      fresh.push_back(std::exchange(p, nullptr));
    }
  }
}

// Moves what stays from the table to `next`: unturned sinks and the tail.
void Sequence::cut_group(size_t g, const Cut& cut, Held& next) {
  Held& h = held_[g];
  for (int64_t page = h.first; page < h.end(); ++page) {
    Page* p = h.pages[static_cast<size_t>(page - h.first)];
    if (page >= cut.tail) {
      next.pages.push_back(p);
    } else if (!goes(cut, next, page)) {
      next.unturned.push_back(p);
    } else if (p) {
      pool_->drop(p);
    }
  }
  const auto sinks = static_cast<size_t>(cut.sinks_end - next.from / kPageTokens);
  const size_t passed = cut.first ? 0 : h.unturned.size() - sinks;  // by the window, since the last shift
  for (size_t i = 0; i < h.unturned.size(); ++i) {
    if (i < passed) {
      pool_->drop(h.unturned[i]);
    } else {
      next.unturned.push_back(h.unturned[i]);
    }
  }
  next.first = sinks > 0 ? next.from / kPageTokens : std::max(h.first, cut.tail) - (cut.tail - cut.sinks_end);
}

}  // namespace linnet

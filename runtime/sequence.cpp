#include "runtime/sequence.h"

#include <algorithm>
#include <utility>

namespace linnet {
namespace {

int64_t pages_for(int64_t positions) { return (positions + kPageTokens - 1) / kPageTokens; }

std::span<const int32_t> page_tokens(std::span<const int32_t> tokens, int64_t page) {
  return tokens.subspan(static_cast<size_t>(page * kPageTokens), kPageTokens);
}

}  // namespace

Sequence::Sequence(PagePool& pool, uint64_t salt, bool share)
    : pool_(&pool), salt_(salt), share_(share), held_(pool.groups().size()) {}

Sequence::Sequence(Sequence&& other) noexcept
    : pool_(other.pool_),
      salt_(other.salt_),
      share_(other.share_),
      computed_(std::exchange(other.computed_, 0)),
      keep_(std::exchange(other.keep_, 0)),
      dropped_(std::exchange(other.dropped_, 0)),
      tokens_(std::exchange(other.tokens_, {})),
      held_(std::exchange(other.held_, {})),
      tip_(std::exchange(other.tip_, nullptr)) {}

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  if (this == &other) return *this;
  clear();
  pool_ = other.pool_;
  salt_ = other.salt_;
  share_ = other.share_;
  computed_ = std::exchange(other.computed_, 0);
  keep_ = std::exchange(other.keep_, 0);
  dropped_ = std::exchange(other.dropped_, 0);
  tokens_ = std::exchange(other.tokens_, {});
  held_ = std::exchange(other.held_, {});
  tip_ = std::exchange(other.tip_, nullptr);
  return *this;
}

Sequence::~Sequence() { clear(); }

void Sequence::clear() {
  for (size_t g = 0; g < held_.size(); ++g) {
    drop_back(g, 0);
    Held& h = held(g);
    for (; !h.unturned.empty(); h.unturned.pop_back()) pool_->drop(h.unturned.back());
    h.first = h.from = 0;
  }
  tokens_.clear();
  computed_ = keep_ = dropped_ = 0;
  pool_->index().release(std::exchange(tip_, nullptr));
}

// Later pages go first: the cache evicts what was let go longest ago, and a page is of no use without those before it.
void Sequence::drop_back(size_t g, int64_t pages) {
  Held& h = held(g);
  while (h.end() > pages && !h.pages.empty()) {
    pool_->drop(h.pages.back());
    h.pages.pop_back();
    h.data.pop_back();
  }
}

void Sequence::drop_front(size_t g, int64_t first) {
  Held& h = held(g);
  const int64_t count = std::min(first - h.first, static_cast<int64_t>(h.pages.size()));
  for (int64_t i = 0; i < count; ++i) pool_->drop(h.pages[static_cast<size_t>(i)]);
  if (count > 0) {
    h.pages.erase(h.pages.begin(), h.pages.begin() + count);
    h.data.erase(h.data.begin(), h.data.begin() + count);
  }
  h.first = std::max(h.first, first);
}

// The first place that the row at `place` sees; places count the positions in view.
int64_t Sequence::seen_from(size_t g, int64_t place) const {
  return std::max(group(g).visible_begin(place), held_[g].from);
}

// The page that the next position falls into, if it exists, must be this sequence's own.
Status Sequence::make_writable(size_t g) {
  const int64_t page = in_view() / kPageTokens;
  Held& h = held(g);
  if (page >= h.end()) return {};
  const size_t i = static_cast<size_t>(page - h.first);
  Page* old = h.pages[i];
  if (old->writable()) return {};
  Result<Page*> own = pool_->copy(*old);
  if (!own && old->refs == 1) {  // nobody else uses it now: rather take it out of the index than fail
    pool_->index().detach(old);
    return {};
  }
  if (!own) return own.error();
  pool_->drop(old);
  h.pages[i] = *own;
  h.data[i] = (*own)->data;
  return {};
}

Status Sequence::extend_to(size_t g, int64_t pages) {
  Held& h = held(g);
  if (pages <= h.end()) return {};
  h.pages.reserve(static_cast<size_t>(pages - h.first));
  h.data.reserve(static_cast<size_t>(pages - h.first));
  while (h.end() < pages) {
    LINNET_TRY(Page * page, pool_->take(static_cast<int32_t>(g)));
    h.pages.push_back(page);
    h.data.push_back(page->data);
  }
  return {};
}

Status Sequence::append(std::span<const int32_t> more) {
  if (more.empty()) return {};
  const int64_t before = pages_for(in_view());
  const int64_t after = pages_for(in_view() + static_cast<int64_t>(more.size()));
  tokens_.reserve(tokens_.size() + more.size());
  for (size_t g = 0; g < held_.size(); ++g) {
    Status status = make_writable(g);
    if (status) status = extend_to(g, after);
    if (status) continue;
    for (size_t undo = 0; undo <= g; ++undo) drop_back(undo, before);
    return status;
  }
  tokens_.insert(tokens_.end(), more.begin(), more.end());
  return {};
}

void Sequence::mark_computed(int64_t positions) {
  computed_ = positions;
  if (share_ && dropped_ == 0) {
    if (!tip_) tip_ = pool_->index().root(salt_);
    for (int64_t page = tip_ ? tip_->pages_deep : 0; share_ && page < positions / kPageTokens; ++page) publish(page);
  }
  for (size_t g = 0; g < held_.size(); ++g) { drop_front(g, seen_from(g, positions - dropped_) / kPageTokens); }
}

// Makes a full page visible to others. If another sequence was first, its page is used and this one's let go.
void Sequence::publish(int64_t page) {
  PrefixNode* node = tip_ ? pool_->index().extend(tip_, page_tokens(tokens_, page)) : nullptr;
  if (!node) {  // the index is full: this sequence goes on by itself
    share_ = false;
    return;
  }
  for (size_t g = 0; g < held_.size(); ++g) {
    Held& h = held(g);
    if (page < h.first || page >= h.end()) continue;
    Page*& own = h.pages[static_cast<size_t>(page - h.first)];
    Page* shared = node->pages[g];
    if (!shared) {
      if (!own->node) pool_->index().attach(node, own);
    } else if (shared != own) {
      pool_->hold(shared);
      pool_->drop(own);
      own = shared;
      h.data[static_cast<size_t>(page - h.first)] = shared->data;
    }
  }
  pool_->index().release(std::exchange(tip_, node));
}

void Sequence::step_back_tip(int64_t pages) {
  while (tip_ && tip_->pages_deep > pages) {
    PrefixNode* parent = tip_->parent;
    pool_->index().hold(parent);
    pool_->index().release(std::exchange(tip_, parent));
  }
}

int64_t Sequence::truncate(int64_t positions) {
  if (positions >= size()) return size();
  // A state is that of a page's last position: there is none in the middle of a page.
  for (size_t g = 0; g < held_.size(); ++g)
    if (group(g).recurrent) positions -= positions % kPageTokens;
  bool visible = dropped_ == 0 || positions >= keep_ + dropped_;
  for (size_t g = 0; g < held_.size() && visible; ++g) {
    visible = seen_from(g, positions - dropped_) / kPageTokens >= held(g).first;
  }
  if (!visible) {
    const std::vector<int32_t> kept(tokens_.begin(), tokens_.begin() + positions);
    clear();
    return adopt(kept, positions);
  }
  for (size_t g = 0; g < held_.size(); ++g) drop_back(g, pages_for(positions - dropped_));
  tokens_.resize(static_cast<size_t>(positions));
  computed_ = std::min(computed_, positions);
  step_back_tip(positions / kPageTokens);
  return size();
}

// nodes[i] is the node of page start + i. The last page boundary at which every group has the pages that a row there
// sees; `start` when there is none.
int64_t Sequence::adoptable_end(int64_t start, std::span<PrefixNode* const> nodes) const {
  for (int64_t end = start + static_cast<int64_t>(nodes.size()); end > start; --end) {
    bool complete = true;
    for (size_t g = 0; g < held_.size() && complete; ++g) {
      const int64_t first = std::max(start, group(g).visible_begin(end * kPageTokens) / kPageTokens);
      for (int64_t page = first; page < end && complete; ++page) {
        complete = nodes[static_cast<size_t>(page - start)]->pages[g] != nullptr;
      }
    }
    if (complete) return end;
  }
  return start;
}

int64_t Sequence::adopt(std::span<const int32_t> tokens, int64_t limit) {
  const int64_t start = size() / kPageTokens;
  limit = std::min(limit, static_cast<int64_t>(tokens.size()));
  if (!share_ || dropped_ > 0 || (start + 1) * kPageTokens > limit) return size();
  if (!tip_) tip_ = pool_->index().root(salt_);
  if (!tip_ || tip_->pages_deep != start) return size();

  std::vector<PrefixNode*> nodes;
  const PrefixNode* last = tip_;
  for (int64_t page = start; (page + 1) * kPageTokens <= limit; ++page) {
    PrefixNode* node = pool_->index().find(last, page_tokens(tokens, page));
    if (!node) break;
    nodes.push_back(node);
    last = node;
  }
  const int64_t end = adoptable_end(start, nodes);
  if (end == start) return size();

  tokens_.reserve(static_cast<size_t>(end * kPageTokens));
  for (Held& h : held_) {
    h.pages.reserve(static_cast<size_t>(end - h.first));
    h.data.reserve(static_cast<size_t>(end - h.first));
  }
  for (size_t g = 0; g < held_.size(); ++g) {
    Held& h = held(g);
    const int64_t seen = group(g).visible_begin(end * kPageTokens) / kPageTokens;
    const int64_t first = std::max(start, seen);
    drop_back(g, start);  // a page that is not full
    drop_front(g, seen);
    if (h.pages.empty()) h.first = first;
    for (int64_t page = first; page < end; ++page) {
      Page* shared = nodes[static_cast<size_t>(page - start)]->pages[g];
      pool_->hold(shared);
      h.pages.push_back(shared);
      h.data.push_back(shared->data);
    }
  }
  tokens_.assign(tokens.begin(), tokens.begin() + end * kPageTokens);
  computed_ = size();
  PrefixNode* node = nodes[static_cast<size_t>(end - start - 1)];
  pool_->index().hold(node);
  pool_->index().release(std::exchange(tip_, node));
  return size();
}

Sequence Sequence::fork() const {
  Sequence copy(*pool_, salt_, share_);
  copy.tokens_ = tokens_;
  std::vector<Held> pages = held_;
  copy.held_ = std::move(pages);  // from here on nothing can fail: each page is held as often as it is named
  for (const Held& h : held_) {
    for (Page* page : h.pages) pool_->hold(page);
    for (Page* page : h.unturned) pool_->hold(page);
  }
  copy.computed_ = computed_;
  copy.keep_ = keep_;
  copy.dropped_ = dropped_;
  copy.tip_ = tip_;
  if (tip_) pool_->index().hold(tip_);
  return copy;
}

RowPlace Sequence::place(int32_t g, int64_t position) const {
  const Held& h = held_[static_cast<size_t>(g)];
  const LayerGroup& layers = group(static_cast<size_t>(g));
  const int64_t place = position - dropped_;
  return {h.data.data(), h.first, place, seen_from(static_cast<size_t>(g), place),
          layers.causal ? place + 1 : in_view()};
}

int64_t Sequence::pages_held(int32_t g) const {
  const Held& h = held_[static_cast<size_t>(g)];
  return static_cast<int64_t>(h.pages.size() + h.unturned.size());
}

int64_t Sequence::pages_needed(const LayerGroup& group, int64_t positions, int64_t chunk) {
  const int64_t all = pages_for(positions);
  // A chunk that begins anywhere in a page sees window - 1 earlier positions: one page more than the lengths alone.
  return group.window > 0 ? std::min(all, pages_for(group.window + chunk) + 1) : all;
}

bool Sequence::same_next_page(std::span<const int32_t> tokens, const Sequence& other,
                              std::span<const int32_t> other_tokens) const {
  const int64_t page = size() / kPageTokens;
  const size_t end = static_cast<size_t>((page + 1) * kPageTokens);
  if (size() % kPageTokens != 0 || !share_ || !other.share_ || salt_ != other.salt_) return false;
  if (dropped_ > 0 || other.dropped_ > 0) return false;
  if (tokens.size() < end || other_tokens.size() < end) return false;
  const bool same_place = tip_ == other.tip_ && (tip_ ? tip_->pages_deep : 0) == page;
  const auto mine = page_tokens(tokens, page), theirs = page_tokens(other_tokens, page);
  return same_place && std::equal(mine.begin(), mine.end(), theirs.begin());
}

}  // namespace linnet

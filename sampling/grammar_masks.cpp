#include "sampling/grammar_masks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>

#include "gguf/base/hash.h"

namespace linnet {
namespace {

// Fewer tokens are kept as a list of ids.
constexpr size_t kSparse = 512;

void set_bit(std::span<uint64_t> mask, int32_t token) { mask[size_t(token) / 64] |= uint64_t(1) << (token % 64); }

}  // namespace

Error GrammarMasks::too_much_work() {
  return fail(
      Code::grammar_limit,
      "the tokens that may follow take more than {} steps or {} MiB to find: the grammar is too ambiguous here; make "
      "its alternatives begin differently",
      kWork, (kMemory + kWalkMemory) >> 20);
}

// The deterministic automaton of the walks. A set is closed and lies on stacks above kBottom, which here stands for
// whatever is below: a set that has kDone has an exit.
class GrammarMasks::Walker {
 public:
  Walker(const GrammarAutomaton& automaton, const TokenTrie& trie)
      : automaton_(automaton), trie_(trie), pushdown_(automaton), classes_(size_t(automaton.classes())) {}

  struct Found {
    std::vector<std::pair<uint32_t, uint32_t>> ranks;  // ranges, ends excluded
    std::vector<int32_t> tokens;                       // others
    std::vector<uint32_t> exits;
  };

  // false: too much work or memory.
  bool walk(const Exits* from, int32_t state, bool bottom, Found& found, uint64_t& work) {
    work_ = &work;
    bottom_ = bottom;
    allow();
    const std::vector<Configuration> set = pushdown_.start(state, Pushdown::kBottom);
    if (pushdown_.overflowed()) return false;
    const int32_t start = id_of(set);
    if (!from) { return find_tokens(set, found) && walk_below(0, start, found); }
    for (const uint32_t node : from->nodes) {
      if (sets_[size_t(start)].exit && !bottom) found.exits.push_back(node);
      if (!walk_below(node, start, found)) return false;
    }
    std::sort(found.exits.begin(), found.exits.end());
    found.exits.erase(std::unique(found.exits.begin(), found.exits.end()), found.exits.end());
    return true;
  }

  size_t memory() const {
    return pushdown_.memory() + rows_.capacity() * sizeof(int32_t) + sets_.capacity() * sizeof(Set) +
           loops_.capacity() * sizeof(Loop) + members_ + buckets_;
  }

 private:
  static constexpr int32_t kDead = -1, kUnknown = -2;
  static constexpr uint32_t kAnyDepth = UINT32_MAX;
  static constexpr size_t kDepth = 32;  // counted repetitions are followed so far

  // Whether a set takes any text over some characters, up to so many of them. All tokens of such texts are allowed
  // whatever the stack is, so exits among them are of no interest.
  struct Loop {
    int32_t next = kDead;             // where all of them lead
    std::array<uint64_t, 2> ascii{};  // the ASCII characters
    bool wide = false;                // all longer characters too
    uint32_t depth = 0;               // how many in a row, all over these characters
  };
  struct Set {
    std::vector<Configuration> members;
    bool exit = false;
    int32_t row = kUnknown;   // its place in rows_, in classes
    int32_t loop = kUnknown;  // its place in loops_
    bool depth_known = false;
  };

  int32_t id_of(const std::vector<Configuration>& set) {
    if (set.empty()) return kDead;
    const uint64_t hash = xxh64(std::as_bytes(std::span(set)));
    const auto [first, last] = ids_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      if (sets_[size_t(at->second)].members == set) return at->second;
    }
    const int32_t id = int32_t(sets_.size());
    ids_.emplace(hash, id);
    sets_.push_back({.members = set, .exit = set.front().state == GrammarAutomaton::kDone});
    members_ += set.size() * sizeof(Configuration);
    buckets_ += 64;  // a node of the map and its share of the buckets
    return id;
  }

  // Where every class of bytes leads; kDead for none. The pointer is valid until the next call. Null: too much.
  const int32_t* row(int32_t set) {
    if (sets_[size_t(set)].row != kUnknown) return &rows_[size_t(sets_[size_t(set)].row) * classes_];
    const uint64_t before = pushdown_.work();
    allow();
    pushdown_.enter(sets_[size_t(set)].members, entered_);
    if (pushdown_.overflowed()) return nullptr;
    // (class, configuration) for all edges, so that the bytes nobody reads cost nothing.
    moves_.clear();
    for (const Configuration& c : entered_) {
      for (const GrammarAutomaton::ByteEdge& edge : automaton_.bytes(c.state)) {
        for (int k = automaton_.class_of()[edge.first]; k <= automaton_.class_of()[edge.last]; ++k) {
          moves_.push_back({k, {edge.target, c.stack}});
        }
      }
    }
    std::sort(moves_.begin(), moves_.end());
    const size_t at = rows_.size();
    rows_.resize(at + classes_, kDead);
    size_t previous_from = 0, previous_to = 0;
    int32_t previous = kDead;
    for (size_t i = 0; i < moves_.size();) {
      size_t end = i;
      while (end < moves_.size() && moves_[end].first == moves_[i].first) ++end;
      const bool same = std::equal(moves_.begin() + ptrdiff_t(i), moves_.begin() + ptrdiff_t(end),
                                   moves_.begin() + ptrdiff_t(previous_from), moves_.begin() + ptrdiff_t(previous_to),
                                   [](const auto& a, const auto& b) { return a.second == b.second; });
      if (!same) {
        next_.clear();
        for (size_t m = i; m < end; ++m) next_.push_back(moves_[m].second);
        pushdown_.close(next_);
        if (pushdown_.overflowed()) return nullptr;
        previous = id_of(next_);
        previous_from = i;
        previous_to = end;
      }
      rows_[at + size_t(moves_[i].first)] = previous;
      i = end;
    }
    *work_ += kStep * (pushdown_.work() - before + moves_.size()) + classes_;
    if (*work_ > kWork || memory() > kMemory + kWalkMemory) return nullptr;
    sets_[size_t(set)].row = int32_t(at / classes_);
    return &rows_[at];
  }

  // What is left of the steps.
  void allow() { pushdown_.allow(*work_ < kWork ? (kWork - *work_) / kStep : 0); }

  int32_t step(int32_t set, uint8_t byte) {
    const int32_t* const to = row(set);
    if (!to) failed_ = true;
    return to ? to[automaton_.class_of()[byte]] : kDead;
  }

  // All tokens below a node that the set `start` there allows, and the exits. This is the loop whose speed counts.
  bool walk_below(uint32_t node, int32_t start, Found& found) {
    const std::span<const TokenTrie::Node> nodes = trie_.nodes();
    const std::array<uint8_t, 256>& class_of = automaton_.class_of();
    path_.clear();
    path_.push_back({nodes[node].end, start});
    if (!row(start)) return false;
    const int32_t* table = rows_.data();
    const auto row_of = [&](int32_t set) { return table + size_t(sets_[size_t(set)].row) * classes_; };
    const int32_t* current = row_of(start);
    const uint32_t last = nodes[node].end;
    uint64_t visited = 0;
    failed_ = false;
    for (uint32_t i = node + 1; i < last;) {
      ++visited;
      if (i >= path_.back().end) {
        do path_.pop_back();
        while (i >= path_.back().end);
        current = row_of(path_.back().set);
      }
      const TokenTrie::Node& here = nodes[i];
      const int32_t set = current[class_of[here.byte]];
      if (set == kDead) {
        i = here.end;
        continue;
      }
      const bool leaf = here.end == i + 1;
      if (!leaf && sets_[size_t(set)].exit && !bottom_) found.exits.push_back(i);
      const bool covered = !leaf && here.summary >= 0 && covers(set, trie_.summary(here.summary));
      if (!leaf && !covered && !row(set)) failed_ = true;
      if (failed_) return false;
      table = rows_.data();
      if (covered) {
        add_ranks(here.first, nodes[here.end].first, found);
        current = row_of(path_.back().set);
        i = here.end;
        continue;
      }
      add_ranks(here.first, nodes[i + 1].first, found);
      if (!leaf) {
        path_.push_back({here.end, set});
        current = row_of(set);
      }
      ++i;
    }
    *work_ += visited;
    return !failed_ && *work_ <= kWork;
  }

  static void add_ranks(uint32_t first, uint32_t end, Found& found) {
    if (first == end) return;
    if (!found.ranks.empty() && found.ranks.back().second == first) {
      found.ranks.back().second = end;
    } else {
      found.ranks.push_back({first, end});
    }
  }

  // Tokens that are terminals of the grammar themselves.
  bool find_tokens(const std::vector<Configuration>& set, Found& found) {
    allow();
    pushdown_.enter(set, entered_);
    if (pushdown_.overflowed()) return false;
    for (const Configuration& c : entered_) {
      for (const GrammarAutomaton::TokenEdge& edge : automaton_.tokens(c.state)) {
        if (!edge.negated) {
          found.tokens.push_back(edge.token);
          continue;
        }
        *work_ += trie_.ranked().size();
        if (*work_ > kWork) return false;
        for (const int32_t token : trie_.ranked()) {
          if (token != edge.token) found.tokens.push_back(token);
        }
      }
    }
    return true;
  }

  // --- loops ---

  static bool subset(const std::array<uint64_t, 2>& a, const std::array<uint64_t, 2>& b) {
    return (a[0] & ~b[0]) == 0 && (a[1] & ~b[1]) == 0;
  }

  bool covers(int32_t set, const TokenTrie::Summary& below) {
    // Most sets allow few bytes; the first byte that they do not allow ends the look.
    const Loop& loop = loop_of(set);
    if (loop.next == kDead || !subset(below.ascii, loop.ascii)) return false;
    if (below.wide && !(loop.wide && below.whole)) return false;
    if (!sets_[size_t(set)].depth_known) find_depth(set);
    return below.depth <= loops_[size_t(sets_[size_t(set)].loop)].depth;
  }

  // Without its depth.
  const Loop& loop_of(int32_t set) {
    if (sets_[size_t(set)].loop != kUnknown) return loops_[size_t(sets_[size_t(set)].loop)];
    Loop loop;
    // The set that most ASCII characters lead to.
    std::vector<std::pair<int32_t, int>> votes;
    for (int byte = 0; byte < 0x80; ++byte) {
      const int32_t next = step(set, uint8_t(byte));
      if (next == kDead) continue;
      const auto same = std::find_if(votes.begin(), votes.end(), [&](const auto& vote) { return vote.first == next; });
      if (same != votes.end()) {
        ++same->second;
      } else {
        votes.push_back({next, 1});
      }
    }
    int most = 0;
    for (const auto& [next, count] : votes) {
      if (count <= most) continue;
      most = count;
      loop.next = next;
    }
    if (loop.next != kDead) {
      for (int byte = 0; byte < 0x80; ++byte) {
        if (step(set, uint8_t(byte)) == loop.next) loop.ascii[size_t(byte / 64)] |= uint64_t(1) << (byte % 64);
      }
      loop.wide = is_wide(set, loop);
    }
    sets_[size_t(set)].loop = int32_t(loops_.size());
    loops_.push_back(loop);
    return loops_.back();
  }

  // Whether all characters of two to four bytes lead to loop.next.
  bool is_wide(int32_t set, const Loop& loop) {
    struct Lead {
      uint8_t first, last;  // first bytes
      uint8_t low, high;    // of the byte after them
      int more;             // any continuation bytes after that
    };
    static constexpr Lead kLeads[] = {{0xc2, 0xdf, 0x80, 0xbf, 0}, {0xe0, 0xe0, 0xa0, 0xbf, 1},
                                      {0xe1, 0xec, 0x80, 0xbf, 1}, {0xed, 0xed, 0x80, 0x9f, 1},
                                      {0xee, 0xef, 0x80, 0xbf, 1}, {0xf0, 0xf0, 0x90, 0xbf, 2},
                                      {0xf1, 0xf3, 0x80, 0xbf, 2}, {0xf4, 0xf4, 0x80, 0x8f, 2}};
    // The one set that all bytes of a range lead to, or kDead.
    const auto common = [&](int32_t from, uint8_t low, uint8_t high) {
      const int32_t to = from == kDead ? kDead : step(from, low);
      for (int byte = low; to != kDead && byte <= high; ++byte) {
        if (step(from, uint8_t(byte)) != to) return kDead;
      }
      return to;
    };
    for (const Lead& lead : kLeads) {
      int32_t at = common(common(set, lead.first, lead.last), lead.low, lead.high);
      for (int i = 0; i < lead.more; ++i) at = common(at, 0x80, 0xbf);
      if (at != loop.next) return false;
    }
    return true;
  }

  // A loop goes on in the next set if that one takes as many characters.
  void find_depth(int32_t set) {
    std::vector<int32_t> chain{set};
    while (chain.size() < kDepth) {
      const Loop loop = loop_of(chain.back());
      if (loop.next == kDead || loop.next == chain.back()) break;
      chain.push_back(loop.next);
    }
    uint32_t depth = 0;
    for (size_t i = chain.size(); i-- > 0;) {
      const Loop loop = loop_of(chain[i]);
      if (loop.next == kDead) continue;
      if (loop.next == chain[i]) {
        depth = kAnyDepth;
        continue;
      }
      const bool last = i + 1 == chain.size();
      const Loop next = last ? Loop{} : loop_of(chain[i + 1]);
      const bool goes_on = !last && subset(loop.ascii, next.ascii) && (next.wide || !loop.wide);
      depth = !goes_on ? 1 : depth == kAnyDepth ? depth : depth + 1;
    }
    loops_[size_t(sets_[size_t(set)].loop)].depth = depth;
    sets_[size_t(set)].depth_known = true;
  }

  struct Step {
    uint32_t end;  // of the subtree
    int32_t set;
  };

  const GrammarAutomaton& automaton_;
  const TokenTrie& trie_;
  Pushdown pushdown_;
  const size_t classes_;
  std::vector<Set> sets_;
  std::unordered_multimap<uint64_t, int32_t> ids_;  // of sets, by hash
  std::vector<int32_t> rows_;                       // [rows][classes]
  std::vector<Loop> loops_;
  size_t members_ = 0, buckets_ = 0;  // bytes
  // Of the walk that is going on.
  uint64_t* work_ = nullptr;
  bool bottom_ = false;
  bool failed_ = false;
  std::vector<Step> path_;
  // Kept for their memory.
  std::vector<Configuration> entered_, next_;
  std::vector<std::pair<int, Configuration>> moves_;
};

void GrammarMasks::Segment::add_to(std::span<uint64_t> mask) const {
  for (size_t i = 0; i < dense.size(); ++i) mask[i] |= dense[i];
  for (const int32_t token : sparse) set_bit(mask, token);
}

GrammarMasks::GrammarMasks(const GrammarAutomaton& automaton, std::shared_ptr<const TokenTrie> trie, size_t memory)
    : automaton_(automaton), trie_(std::move(trie)), limit_(memory) {}

Result<std::shared_ptr<const GrammarMasks::Segment>> GrammarMasks::segment(const std::shared_ptr<const Exits>& exits,
                                                                           int32_t state, bool bottom,
                                                                           uint64_t& work) const {
  Key key{exits ? exits->id : 0, state, bottom};
  const auto find = [&]() -> std::shared_ptr<const Segment> {
    if (const auto at = segments_.find(key); at != segments_.end()) return at->second;
    // The walk with exits will do as well: at the bottom they lead nowhere.
    if (!bottom) return nullptr;
    const auto at = segments_.find({key.exits, state, false});
    return at != segments_.end() ? at->second : nullptr;
  };
  {
    const std::shared_lock lock(mutex_);
    if (auto found = find()) return found;
  }
  const std::unique_lock lock(mutex_);
  if (auto found = find()) return found;
  if (walker_ && kept_ + walker_->memory() > limit_) {
    segments_.clear();
    exits_.clear();
    kept_ = 0;
    walker_.reset();
  }
  LINNET_TRY(std::shared_ptr<const Segment> made, compute(exits.get(), state, bottom, work));
  segments_.emplace(key, made);
  memory_.store(kept_ + walker_->memory(), std::memory_order_relaxed);
  return made;
}

Result<std::shared_ptr<const GrammarMasks::Segment>> GrammarMasks::compute(const Exits* exits, int32_t state,
                                                                           bool bottom, uint64_t& work) const {
  if (!walker_) walker_ = std::make_shared<Walker>(automaton_, *trie_);
  Walker::Found found;
  if (!walker_->walk(exits, state, bottom, found, work)) {
    walker_.reset();  // what it was in the middle of is not finished
    segments_.clear();
    exits_.clear();
    kept_ = 0;
    return too_much_work();
  }
  auto made = std::make_shared<Segment>();
  size_t count = found.tokens.size();
  for (const auto& [first, end] : found.ranks) count += end - first;
  if (count > kSparse) {
    const std::span<const int32_t> ranked = trie_->ranked();
    std::vector<uint64_t>& dense = made->dense;
    if (count > ranked.size() / 2) {
      // Inside of a string nearly all are allowed: the others are fewer to look at.
      dense.assign(trie_->all().begin(), trie_->all().end());
      found.ranks.push_back({uint32_t(ranked.size()), uint32_t(ranked.size())});
      std::sort(found.ranks.begin(), found.ranks.end());  // walks from several exits may overlap
      uint32_t at = 0;
      for (const auto& [first, end] : found.ranks) {
        for (; at < first; ++at) dense[size_t(ranked[at]) / 64] &= ~(uint64_t(1) << (ranked[at] % 64));
        at = std::max(at, end);
      }
    } else {
      dense.assign(trie_->mask_words(), 0);
      for (const auto& [first, end] : found.ranks) {
        for (const int32_t token : ranked.subspan(first, end - first)) set_bit(dense, token);
      }
    }
    for (const int32_t token : found.tokens) set_bit(dense, token);
  } else {
    made->sparse = std::move(found.tokens);
    for (const auto& [first, end] : found.ranks) {
      const auto tokens = trie_->ranked().subspan(first, end - first);
      made->sparse.insert(made->sparse.end(), tokens.begin(), tokens.end());
    }
  }
  if (!found.exits.empty()) {
    const uint64_t hash = xxh64(std::as_bytes(std::span(found.exits)));
    const auto [first, last] = exits_.equal_range(hash);
    for (auto at = first; at != last && !made->exits; ++at) {
      if (at->second->nodes == found.exits) made->exits = at->second;
    }
    if (!made->exits) {
      found.exits.shrink_to_fit();
      kept_ += 64 + found.exits.size() * sizeof(uint32_t);
      made->exits = std::make_shared<Exits>(Exits{next_exits_++, std::move(found.exits)});
      exits_.emplace(hash, made->exits);
    }
  }
  kept_ += 128 + made->dense.size() * sizeof(uint64_t) + made->sparse.size() * sizeof(int32_t);
  return std::shared_ptr<const Segment>(std::move(made));
}

void GrammarMasks::prepare(uint64_t limit) const {
  const uint64_t start = kWork - std::min(limit + limit / 2, kWork);  // segment() ends what would go beyond kWork
  uint64_t work = start;
  for (int32_t state = 0; state < automaton_.states() && work - start < limit && memory() < limit_ / 2; ++state) {
    // States of the root are nearly always at the bottom. A failure comes again, with its sentence, when it matters.
    const bool bottom = automaton_.rule_count() == 1 || state < automaton_.start(1);
    if (!segment(nullptr, state, bottom, work)) return;
  }
}

}  // namespace linnet

#include "sampling/grammar.h"

#include <algorithm>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// What compile() may spend on masks in advance, in steps of GrammarMasks.
constexpr uint64_t kPrepared = 3'500'000;

// Steps of the Pushdown that reading a text may take, some 25 ms, and per byte of it.
constexpr uint64_t kReadWork = 400'000, kReadWorkPerByte = 32;

constexpr int kStateBits = 20, kStackBits = 23;
static_assert(GrammarLimits::kStates < (1 << kStateBits) && Pushdown::kFrames < (size_t(1) << kStackBits));

}  // namespace

Grammar::Grammar(GrammarAutomaton automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(std::move(automaton)), trie_(std::move(trie)), masks_(automaton_, trie_) {}

Result<std::shared_ptr<const Grammar>> Grammar::compile(const GrammarRules& rules,
                                                        std::shared_ptr<const TokenTrie> trie) {
  if (!trie) return fail(Code::invalid_argument, "a grammar needs the tokens of a vocabulary: the trie is null");
  LINNET_TRY(GrammarAutomaton automaton, GrammarAutomaton::build(rules, trie->vocabulary_size()));
  std::shared_ptr<const Grammar> grammar(new Grammar(std::move(automaton), std::move(trie)));
  grammar->masks_.prepare(kPrepared);
  return grammar;
}

size_t Grammar::memory() const { return sizeof(*this) + automaton_.memory() + masks_.memory(); }

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), pushdown_(grammar_->automaton()) {
  current_ = pushdown_.start(grammar_->automaton().start(0), Pushdown::kBottom);
}

bool GrammarMatcher::complete() const {
  // kDone is the lowest state.
  return !current_.empty() && current_.front().state == GrammarAutomaton::kDone;
}

// What the current state becomes with the bytes; empty where they do not fit.
void GrammarMatcher::read(std::string_view bytes, std::vector<Configuration>& set) {
  pushdown_.allow(kReadWork + kReadWorkPerByte * bytes.size());
  set = current_;
  too_ambiguous_ = false;
  for (size_t i = 0; i < bytes.size() && !set.empty(); ++i) {
    pushdown_.enter(set, entered_);
    if (!pushdown_.overflowed()) pushdown_.read_byte(entered_, uint8_t(bytes[i]), set);
    too_ambiguous_ = pushdown_.overflowed();
    if (too_ambiguous_) set.clear();
  }
}

// The next state, unless it does not exist; `stacks`: how many there were before it was made.
bool GrammarMatcher::become(std::vector<Configuration>& set, size_t stacks) {
  too_ambiguous_ = too_ambiguous_ || past_.size() + current_.size() > kMostPast;
  if (set.empty() || too_ambiguous_) {
    pushdown_.forget(stacks);
    return false;
  }
  history_.push_back({past_.size(), stacks});
  past_.insert(past_.end(), current_.begin(), current_.end());
  current_.swap(set);
  return true;
}

bool GrammarMatcher::accept(int32_t token) {
  const TokenTrie& trie = grammar_->trie();
  if (token < 0 || token >= trie.vocabulary_size()) return false;
  const size_t stacks = pushdown_.stacks();
  const std::string_view bytes = trie.bytes(token);
  too_ambiguous_ = false;
  next_.clear();
  if (trie.is_eog(token)) {
    if (complete()) next_.push_back({GrammarAutomaton::kDone, Pushdown::kBottom});
  } else if (!bytes.empty()) {
    read(bytes, next_);
  }
  // The token itself may be a terminal, beside its bytes.
  pushdown_.allow(kReadWork);
  pushdown_.enter(current_, entered_);
  too_ambiguous_ = too_ambiguous_ || pushdown_.overflowed();
  pushdown_.read_token(entered_, token, !bytes.empty(), other_);
  too_ambiguous_ = too_ambiguous_ || pushdown_.overflowed();
  if (!other_.empty()) {
    next_.insert(next_.end(), other_.begin(), other_.end());
    std::sort(next_.begin(), next_.end());
    next_.erase(std::unique(next_.begin(), next_.end()), next_.end());
  }
  return become(next_, stacks);
}

bool GrammarMatcher::accept_bytes(std::string_view bytes) {
  const size_t stacks = pushdown_.stacks();
  read(bytes, next_);
  return become(next_, stacks);
}

void GrammarMatcher::rewind(int64_t tokens) {
  if (tokens <= 0 || history_.empty()) return;
  const size_t keep = uint64_t(tokens) >= history_.size() ? 0 : history_.size() - size_t(tokens);
  const Mark mark = history_[keep];
  const size_t end = keep + 1 < history_.size() ? history_[keep + 1].past : past_.size();
  current_.assign(past_.begin() + ptrdiff_t(mark.past), past_.begin() + ptrdiff_t(end));
  past_.resize(mark.past);
  history_.resize(keep);
  pushdown_.forget(mark.stacks);
}

Status GrammarMatcher::mask(std::span<uint64_t> allowed) const {
  const TokenTrie& trie = grammar_->trie();
  if (allowed.size() < trie.mask_words()) {
    return fail(Code::invalid_argument, "the mask has {} words: expected {} for {} tokens", allowed.size(),
                trie.mask_words(), trie.vocabulary_size());
  }
  if (past_.size() + current_.size() > kMostPast) {
    return fail(Code::grammar_limit,
                "after {} tokens the grammar's states take more than {} MiB: it is too ambiguous for a "
                "text of this length",
                accepted(), kMostPast * sizeof(Configuration) >> 20);
  }
  std::fill(allowed.begin(), allowed.end(), 0);
  if (complete()) {
    for (const int32_t token : trie.eog()) allowed[size_t(token) / 64] |= uint64_t(1) << (token % 64);
  }
  // Down the stacks, as far as there are exits; no walk twice. Exits are numbered by their place in exits_.
  seen_.clear();
  walks_.clear();
  exits_.assign(1, nullptr);
  uint64_t work = 0;
  const auto add = [&](size_t index, Configuration from) {
    if (from.state == GrammarAutomaton::kDone) return;
    // Beyond so many different exits (no more than there are bytes in the longest token, usually), one may come twice.
    const bool numbered = index < (size_t(1) << (64 - kStateBits - kStackBits));
    const uint64_t key = (uint64_t(index) << kStateBits | uint64_t(from.state)) << kStackBits | uint64_t(from.stack);
    if (!numbered || seen_.insert(key)) walks_.push_back({index, from});
  };
  for (const Configuration& c : current_) add(0, c);
  while (!walks_.empty()) {
    const auto [exits, from] = walks_.back();
    walks_.pop_back();
    LINNET_TRY(const std::shared_ptr<const GrammarMasks::Segment> segment,
               grammar_->masks().segment(exits_[exits], from.state, from.stack == Pushdown::kBottom, work));
    segment->add_to(allowed);
    if (!segment->exits) continue;
    const size_t index = size_t(std::find(exits_.begin(), exits_.end(), segment->exits) - exits_.begin());
    if (index == exits_.size()) exits_.push_back(segment->exits);
    const std::span<const Configuration> frames = pushdown_.frames(from.stack);
    for (const Configuration& frame : frames) add(index, frame);
    work += GrammarMasks::kStep * frames.size() + index + segment->sparse.size() + segment->dense.size();
    if (work > GrammarMasks::kWork) return GrammarMasks::too_much_work();
  }
  if (std::any_of(allowed.begin(), allowed.end(), [](uint64_t word) { return word != 0; })) return {};
  return fail(
      Code::grammar_dead_end,
      "no token of the vocabulary fits the grammar after {} accepted tokens: the vocabulary cannot spell what must "
      "follow ({})",
      accepted(), complete() ? "it has no end-of-generation token" : quoted(forced()));
}

std::string GrammarMatcher::forced() const {
  std::string out;
  const GrammarAutomaton& automaton = grammar_->automaton();
  const size_t stacks = pushdown_.stacks();
  pushdown_.allow(kReadWork);
  next_ = current_;
  while (out.size() < kMostForced && !next_.empty() && next_.front().state != GrammarAutomaton::kDone) {
    pushdown_.enter(next_, entered_);
    if (pushdown_.overflowed()) break;
    int byte = -1;
    bool open = false;  // a choice
    for (const Configuration& c : entered_) {
      open = open || !automaton.tokens(c.state).empty();
      for (const GrammarAutomaton::ByteEdge& edge : automaton.bytes(c.state)) {
        open = open || edge.first != edge.last || (byte >= 0 && byte != edge.first);
        byte = edge.first;
      }
    }
    if (open || byte < 0) break;
    out.push_back(char(byte));
    pushdown_.read_byte(entered_, uint8_t(byte), next_);
  }
  pushdown_.forget(stacks);
  out.resize(out.size() - utf8_unfinished(out));
  return out;
}

size_t GrammarMatcher::memory() const {
  return sizeof(*this) + pushdown_.memory() + past_.capacity() * sizeof(Configuration) +
         history_.capacity() * sizeof(Mark);
}

}  // namespace linnet

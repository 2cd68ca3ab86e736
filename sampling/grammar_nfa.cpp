#include "sampling/grammar_nfa.h"

#include <algorithm>
#include <array>
#include <span>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

using Kind = GrammarNode::Kind;
using Limits = GrammarLimits;

constexpr uint32_t kLastCodePoint = 0x10ffff;

// Ranges of bytes one after the other: some of the UTF-8 sequences of a range of characters.
struct ByteRanges {
  struct Range {
    uint8_t first, last;
  };
  std::array<Range, 4> range;
  int count = 0;

  // How many at the end, behind the first, are all continuation bytes.
  int any_at_end() const {
    int any = 0;
    for (int i = count - 1; i > 0 && range[size_t(i)].first == 0x80 && range[size_t(i)].last == 0xbf; --i) ++any;
    return any;
  }
};

int encode(uint32_t code_point, std::array<uint8_t, 4>& out) {
  std::string text;
  utf8_append(text, code_point);
  std::copy(text.begin(), text.end(), out.begin());
  return int(text.size());
}

// Cuts a range of characters until the encodings of each piece are all combinations of ranges of bytes: at changes of
// the length, at the surrogates, and where a byte changes while those after it are not complete.
void utf8_ranges(CharacterRange whole, std::vector<ByteRanges>& out) {
  std::vector<CharacterRange> pieces{whole};
  while (!pieces.empty()) {
    const CharacterRange piece = pieces.back();
    pieces.pop_back();
    uint32_t cut = kLastCodePoint;  // the first part ends here
    for (const uint32_t last : {0x7fu, 0x7ffu, 0xd7ffu, 0xffffu}) {
      if (piece.first <= last && last < piece.last) cut = std::min(cut, last);
    }
    if (cut == kLastCodePoint) {
      for (const int bits : {6, 12, 18}) {
        const uint32_t low = (uint32_t(1) << bits) - 1;
        if (piece.first < 0x80 || (piece.first & ~low) == (piece.last & ~low)) break;
        if ((piece.first & low) != 0) {
          cut = std::min(cut, piece.first | low);
        } else if ((piece.last & low) != low) {
          cut = std::min(cut, (piece.last & ~low) - 1);
        }
      }
    }
    if (cut < piece.last) {
      const uint32_t next = cut == 0xd7ff ? 0xe000 : cut + 1;
      pieces.push_back({next, piece.last});
      pieces.push_back({piece.first, cut});
      continue;
    }
    std::array<uint8_t, 4> first{}, last{};
    ByteRanges ranges;
    ranges.count = encode(piece.first, first);
    encode(piece.last, last);
    for (int i = 0; i < ranges.count; ++i) ranges.range[size_t(i)] = {first[size_t(i)], last[size_t(i)]};
    out.push_back(ranges);
  }
}

class Builder {
 public:
  Builder(const GrammarRules& rules, int32_t vocabulary) : rules_(rules), vocabulary_(vocabulary) {}

  Result<GrammarNfa> build() {
    LINNET_CHECK(collect_rules());
    nfa_.rules.resize(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
      GrammarNfa::Rule& rule = nfa_.rules[i];
      rule.name = name(order_[i]);
      rule.start = add_state();
      rule.end = add_state();
      expand(rules_.rules[size_t(order_[i])].node, rule.start, rule.end);
    }
    finish();
    const std::vector<bool> productive = rules_that_end(false);
    for (size_t i = 0; i < productive.size(); ++i) {
      if (productive[i]) continue;
      return fail(Code::grammar_syntax,
                  "rule {} can never end: every way through it needs itself, or a rule that needs it; give it an "
                  "alternative that does not",
                  quoted(nfa_.rules[i].name));
    }
    const std::vector<bool> nullable = rules_that_end(true);
    for (size_t i = 0; i < nullable.size(); ++i) nfa_.rules[i].nullable = nullable[i];
    return std::move(nfa_);
  }

 private:
  std::string name(int32_t rule) const { return rules_.rules[size_t(rule)].name; }

  // --- checks, and sizes before anything is built ---

  Status check_node(const GrammarNode& node, const std::string& rule) const {
    const auto bad = [&](const char* what) { return fail(Code::grammar_syntax, "rule {}: {}", quoted(rule), what); };
    for (const int32_t child : node.children) {
      if (child < 0 || size_t(child) >= rules_.nodes.size()) return bad("a part of an expression does not exist");
    }
    switch (node.kind) {
      case Kind::text:
      case Kind::sequence:
        return {};
      case Kind::choice:
        return node.children.empty() ? bad("a choice has no alternatives") : Status();
      case Kind::token:
      case Kind::not_token:
        if (node.value >= 0 && node.value < vocabulary_) return {};
        return fail(Code::grammar_syntax, "rule {}: token {} is not in the vocabulary: expected 0 to {}", quoted(rule),
                    node.value, vocabulary_ - 1);
      case Kind::rule:
        if (node.value >= 0 && size_t(node.value) < rules_.rules.size()) return {};
        return bad("it names a rule that does not exist");
      case Kind::repeat:
        if (node.children.size() != 1) return bad("a repetition needs one thing to repeat");
        if (node.least >= 0 && (node.most == -1 || node.most >= node.least)) return {};
        return fail(Code::grammar_syntax,
                    "rule {}: a repetition of at least {} and at most {}: expected 0 <= least <= most", quoted(rule),
                    node.least, node.most);
      case Kind::characters:
        break;
    }
    if (node.ranges.empty()) return bad("a character class is empty: nothing can match it");
    int64_t previous = -1;
    for (const CharacterRange& range : node.ranges) {
      const auto surrogate = [](uint32_t c) { return c >= 0xd800 && c <= 0xdfff; };
      if (int64_t(range.first) <= previous || range.last < range.first || range.last > kLastCodePoint ||
          surrogate(range.first) || surrogate(range.last)) {
        return fail(
            Code::grammar_syntax,
            "rule {}: the range U+{:04X} to U+{:04X} of a character class: expected ascending, disjoint ranges of "
            "code points up to U+10FFFF without surrogates",
            quoted(rule), range.first, range.last);
      }
      previous = range.last;
    }
    return {};
  }

  // More than the states that a node becomes inside, and at least the steps to write it out, its children's sizes being
  // known: every part counts at least once.
  int64_t size_of(const GrammarNode& node) const {
    int64_t size = 1;
    switch (node.kind) {
      case Kind::text:
        size += int64_t(node.text.size()) - (node.text.empty() ? 0 : 1);
        break;
      case Kind::characters: {
        std::vector<ByteRanges> sequences;
        for (const CharacterRange& range : node.ranges) utf8_ranges(range, sequences);
        if (node.ranges.back().last >= 0x80) size += 3;
        for (const ByteRanges& sequence : sequences) size += sequence.count - 1 - sequence.any_at_end();
        break;
      }
      case Kind::repeat: {
        const int64_t copies = std::max(node.most == -1 ? int64_t(node.least) + 1 : int64_t(node.most), int64_t(1));
        size += 1 + copies * sizes_[size_t(node.children[0])];  // below 2^31 * 2^19
        break;
      }
      default:
        for (const int32_t child : node.children) size = std::min(size + sizes_[size_t(child)], Limits::kStates + 1);
    }
    return std::min(size, Limits::kStates + 1);
  }

  // Children before parents, with a stack of our own: checks nodes, depth and cycles; then the sizes are there.
  Status measure(int32_t root, const std::string& rule) {
    struct Frame {
      int32_t node;
      size_t child;
    };
    std::vector<Frame> path{{root, 0}};
    if (sizes_[size_t(root)] > 0) return {};
    sizes_[size_t(root)] = kOpen;
    LINNET_CHECK(check_node(rules_.nodes[size_t(root)], rule));
    while (!path.empty()) {
      Frame& top = path.back();
      const GrammarNode& node = rules_.nodes[size_t(top.node)];
      if (top.child < node.children.size()) {
        const int32_t child = node.children[top.child++];
        if (sizes_[size_t(child)] == kOpen) {
          return fail(Code::grammar_syntax, "rule {}: an expression contains itself", quoted(rule));
        }
        if (sizes_[size_t(child)] > 0) continue;
        LINNET_CHECK(check_node(rules_.nodes[size_t(child)], rule));
        sizes_[size_t(child)] = kOpen;
        path.push_back({child, 0});
        continue;
      }
      int64_t depth = 1;
      for (const int32_t child : node.children) depth = std::max(depth, 1 + int64_t(depths_[size_t(child)]));
      if (depth > Limits::kNesting) {
        return fail(Code::grammar_limit, "rule {} is nested more than {} deep: name inner parts as rules of their own",
                    quoted(rule), Limits::kNesting);
      }
      depths_[size_t(top.node)] = int32_t(depth);
      sizes_[size_t(top.node)] = size_of(node);
      if (node.kind == Kind::rule) need(node.value);
      path.pop_back();
    }
    return {};
  }

  void need(int32_t rule) {
    if (index_[size_t(rule)] >= 0) return;
    index_[size_t(rule)] = int32_t(order_.size());
    order_.push_back(rule);
  }

  // The root and what it needs. Rules that nothing needs cost nothing and are not looked at.
  Status collect_rules() {
    if (int64_t(rules_.rules.size()) > Limits::kRules) {
      return fail(Code::grammar_limit, "the grammar has {} rules: at most {} are taken", rules_.rules.size(),
                  Limits::kRules);
    }
    if (rules_.root < 0 || size_t(rules_.root) >= rules_.rules.size()) {
      return fail(Code::grammar_syntax, "the grammar has no root rule");
    }
    index_.assign(rules_.rules.size(), -1);
    sizes_.assign(rules_.nodes.size(), 0);
    depths_.assign(rules_.nodes.size(), 0);
    need(rules_.root);
    int64_t total = 0;
    for (size_t i = 0; i < order_.size(); ++i) {
      const int32_t node = rules_.rules[size_t(order_[i])].node;
      if (node < 0 || size_t(node) >= rules_.nodes.size()) {
        return fail(Code::grammar_syntax, "rule {} is used, but not defined", quoted(name(order_[i])));
      }
      LINNET_CHECK(measure(node, name(order_[i])));
      total += 2 + sizes_[size_t(node)];
      if (total > Limits::kStates) {
        return fail(
            Code::grammar_limit,
            "the grammar has more than {} states when its repetitions are written out (reached in rule {}): use "
            "smaller counts or * instead of {{m,n}}",
            Limits::kStates, quoted(name(order_[i])));
      }
    }
    return {};
  }

  // --- building ---

  int32_t add_state() { return states_++; }
  void edge(int32_t from, NfaEdge e) {
    from_.push_back(from);
    nfa_.edges.push_back(e);
  }
  void empty(int32_t from, int32_t to) { edge(from, {.target = to}); }
  void bytes(int32_t from, uint8_t first, uint8_t last, int32_t to) {
    edge(from, {.kind = NfaEdge::Kind::byte, .first = first, .last = last, .target = to});
  }

  void expand_characters(const GrammarNode& node, int32_t from, int32_t to) {
    std::vector<ByteRanges> sequences;
    for (const CharacterRange& range : node.ranges) utf8_ranges(range, sequences);
    // Any continuation bytes up to `to`, one to three: shared by all sequences that end so.
    std::array<int32_t, 4> any{to, -1, -1, -1};
    for (const ByteRanges& sequence : sequences) {
      const int same = sequence.any_at_end();
      for (int i = 1; i <= same; ++i) {
        if (any[size_t(i)] >= 0) continue;
        any[size_t(i)] = add_state();
        bytes(any[size_t(i)], 0x80, 0xbf, any[size_t(i) - 1]);
      }
      int32_t at = from;
      for (int i = 0; i < sequence.count - same; ++i) {
        const int32_t next = i + 1 == sequence.count - same ? any[size_t(same)] : add_state();
        bytes(at, sequence.range[size_t(i)].first, sequence.range[size_t(i)].last, next);
        at = next;
      }
    }
  }

  // Everything between two states that a node stands for.
  void expand(int32_t root, int32_t begin, int32_t end) {
    struct Task {
      int32_t node, from, to;
    };
    std::vector<Task> tasks{{root, begin, end}};
    while (!tasks.empty()) {
      const auto [index, from, to] = tasks.back();
      tasks.pop_back();
      const GrammarNode& node = rules_.nodes[size_t(index)];
      switch (node.kind) {
        case Kind::text: {
          if (node.text.empty()) empty(from, to);
          int32_t at = from;
          for (size_t i = 0; i < node.text.size(); ++i) {
            const int32_t next = i + 1 == node.text.size() ? to : add_state();
            bytes(at, uint8_t(node.text[i]), uint8_t(node.text[i]), next);
            at = next;
          }
          break;
        }
        case Kind::characters:
          expand_characters(node, from, to);
          break;
        case Kind::token:
          edge(from, {.kind = NfaEdge::Kind::token, .value = node.value, .target = to});
          break;
        case Kind::not_token:
          edge(from, {.kind = NfaEdge::Kind::not_token, .value = node.value, .target = to});
          break;
        case Kind::rule:
          edge(from, {.kind = NfaEdge::Kind::call, .value = index_[size_t(node.value)], .target = to});
          break;
        case Kind::sequence: {
          if (node.children.empty()) empty(from, to);
          int32_t at = from;
          for (size_t i = 0; i < node.children.size(); ++i) {
            const int32_t next = i + 1 == node.children.size() ? to : add_state();
            tasks.push_back({node.children[i], at, next});
            at = next;
          }
          break;
        }
        case Kind::choice:
          for (const int32_t child : node.children) tasks.push_back({child, from, to});
          break;
        case Kind::repeat: {
          int32_t at = from;
          for (int32_t i = 0; i < node.least; ++i) {
            const int32_t next = add_state();
            tasks.push_back({node.children[0], at, next});
            at = next;
          }
          if (node.most == -1) {
            // A state of its own: what else begins at `from` or ends at `to` must not be repeated.
            const int32_t loop = add_state();
            empty(at, loop);
            tasks.push_back({node.children[0], loop, loop});
            empty(loop, to);
            break;
          }
          for (int32_t i = node.least; i < node.most; ++i) {
            empty(at, to);
            const int32_t next = add_state();
            tasks.push_back({node.children[0], at, next});
            at = next;
          }
          empty(at, to);
          break;
        }
      }
    }
  }

  // Edges in the order of their states.
  void finish() {
    nfa_.begin.assign(size_t(states_) + 1, 0);
    for (const int32_t from : from_) ++nfa_.begin[size_t(from) + 1];
    for (size_t i = 1; i < nfa_.begin.size(); ++i) nfa_.begin[i] += nfa_.begin[i - 1];
    std::vector<int32_t> at(nfa_.begin.begin(), nfa_.begin.end() - 1);
    std::vector<NfaEdge> sorted(nfa_.edges.size());
    for (size_t i = 0; i < from_.size(); ++i) sorted[size_t(at[size_t(from_[i])]++)] = nfa_.edges[i];
    nfa_.edges = std::move(sorted);
    from_ = {};
  }

  // Which rules' ends can be reached from their starts, in time linear in the edges: on any edges, or on empty ones and
  // calls of such rules only. A call goes on as soon as its rule is known to end.
  std::vector<bool> rules_that_end(bool empty_only) const {
    std::vector<bool> ends(nfa_.rules.size(), false), reached(size_t(states_), false);
    std::vector<std::vector<int32_t>> waiting(nfa_.rules.size());  // targets of calls
    std::vector<int32_t> ended_by(size_t(states_), -1);            // the rule whose end a state is
    std::vector<int32_t> work;
    const auto reach = [&](int32_t state) {
      if (reached[size_t(state)]) return;
      reached[size_t(state)] = true;
      work.push_back(state);
    };
    for (size_t i = 0; i < nfa_.rules.size(); ++i) {
      ended_by[size_t(nfa_.rules[i].end)] = int32_t(i);
      reach(nfa_.rules[i].start);
    }
    while (!work.empty()) {
      const int32_t state = work.back();
      work.pop_back();
      if (const int32_t rule = ended_by[size_t(state)]; rule >= 0) {
        ends[size_t(rule)] = true;
        for (const int32_t target : waiting[size_t(rule)]) reach(target);
        waiting[size_t(rule)].clear();
      }
      for (int32_t e = nfa_.begin[size_t(state)]; e < nfa_.begin[size_t(state) + 1]; ++e) {
        const NfaEdge& edge = nfa_.edges[size_t(e)];
        if (edge.kind == NfaEdge::Kind::call && !ends[size_t(edge.value)]) {
          waiting[size_t(edge.value)].push_back(edge.target);
        } else if (!empty_only || edge.kind == NfaEdge::Kind::empty || edge.kind == NfaEdge::Kind::call) {
          reach(edge.target);
        }
      }
    }
    return ends;
  }

  static constexpr int64_t kOpen = -1;

  const GrammarRules& rules_;
  const int32_t vocabulary_;
  GrammarNfa nfa_;
  int32_t states_ = 0;
  std::vector<int32_t> from_;    // [edges] until finish()
  std::vector<int32_t> order_;   // the rules needed
  std::vector<int32_t> index_;   // [rules] place in order_, or -1
  std::vector<int64_t> sizes_;   // [nodes] states, at most the limit + 1; 0: not known yet
  std::vector<int32_t> depths_;  // [nodes]
};

}  // namespace

Result<GrammarNfa> GrammarNfa::build(const GrammarRules& rules, int32_t vocabulary) {
  return Builder(rules, vocabulary).build();
}

}  // namespace linnet

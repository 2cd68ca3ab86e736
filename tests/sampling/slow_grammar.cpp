#include "tests/sampling/slow_grammar.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

using Kind = GrammarNode::Kind;

class Recognizer {
 public:
  Recognizer(const GrammarRules& rules, std::string_view text) : rules_(rules), text_(text) {}

  // Where texts of the node that begin at `at` may end.
  const std::set<size_t>& ends(int32_t node, size_t at) {
    const auto key = std::pair(node, at);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    std::set<size_t> result = compute(rules_.nodes[size_t(node)], at);
    return known_[key] = std::move(result);
  }

 private:
  std::set<size_t> compute(const GrammarNode& n, size_t at) {
    switch (n.kind) {
      case Kind::text:
        if (text_.substr(at).starts_with(n.text)) return {at + n.text.size()};
        return {};
      case Kind::characters: {
        if (at == text_.size()) return {};
        const Utf8Char u = utf8_decode(text_, at);
        for (const CharacterRange r : n.ranges) {
          if (u.valid && u.code_point >= r.first && u.code_point <= r.last) return {at + u.bytes};
        }
        return {};
      }
      case Kind::token:
        return {};
      case Kind::sequence: {
        std::set<size_t> places = {at};
        for (const int32_t child : n.children) places = after(child, places);
        return places;
      }
      case Kind::choice: {
        std::set<size_t> places;
        for (const int32_t child : n.children) places.merge(std::set<size_t>(ends(child, at)));
        return places;
      }
      case Kind::repeat: {
        std::set<size_t> places = {at}, result;
        for (int32_t i = 0; i < n.least && !places.empty(); ++i) places = after(n.children[0], places);
        // Once nothing new comes, nothing new will.
        for (int32_t i = n.least; !places.empty(); ++i) {
          std::set<size_t> fresh;
          std::set_difference(places.begin(), places.end(), result.begin(), result.end(),
                              std::inserter(fresh, fresh.end()));
          if (fresh.empty()) break;
          result.insert(fresh.begin(), fresh.end());
          if (n.most >= 0 && i == n.most) break;
          places = after(n.children[0], fresh);
        }
        return result;
      }
      case Kind::rule:
        return ends(rules_.rules[size_t(n.value)].node, at);
    }
    return {};
  }

  std::set<size_t> after(int32_t node, const std::set<size_t>& places) {
    std::set<size_t> result;
    for (const size_t at : places) result.merge(std::set<size_t>(ends(node, at)));
    return result;
  }

  const GrammarRules& rules_;
  std::string_view text_;
  std::map<std::pair<int32_t, size_t>, std::set<size_t>> known_;
};

class Deriver {
 public:
  Deriver(const GrammarRules& rules, Random& random, int size) : rules_(rules), random_(random), left_(size) {
    // Bytes and steps of the shortest derivation, from below.
    cost_.assign(rules.nodes.size(), kNever);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = rules.nodes.size(); i-- > 0;) {
        const int64_t c = cost(rules.nodes[i]);
        changed |= c < cost_[i];
        cost_[i] = std::min(cost_[i], c);
      }
    }
  }

  std::string text(int32_t node) {
    std::string out;
    derive(node, out);
    return out;
  }

 private:
  static constexpr int64_t kNever = int64_t(1) << 40;

  int64_t cost(const GrammarNode& n) const {
    int64_t sum = 1, least = kNever;
    for (const int32_t child : n.children) {
      sum = std::min(sum + cost_[size_t(child)], kNever);
      least = std::min(least, cost_[size_t(child)]);
    }
    if (n.kind == Kind::choice) return std::min(least + 1, kNever);
    if (n.kind == Kind::repeat) return n.least == 0 ? 1 : std::min(1 + least * n.least, kNever);
    if (n.kind == Kind::rule) return std::min(1 + cost_[size_t(rules_.rules[size_t(n.value)].node)], kNever);
    return n.kind == Kind::token ? kNever : sum;
  }

  void derive(int32_t node, std::string& out) {
    const GrammarNode& n = rules_.nodes[size_t(node)];
    switch (n.kind) {
      case Kind::text:
        out += n.text;
        return;
      case Kind::characters: {
        // Small characters more often than their share.
        const auto count = int64_t(n.ranges.size());
        const CharacterRange r =
            n.ranges[size_t(random_.below(random_.below(3) == 0 ? count : std::min<int64_t>(count, 3)))];
        const int64_t span = int64_t(r.last) - r.first + 1;
        utf8_append(out, r.first + uint32_t(random_.below(random_.below(8) == 0 ? span : std::min<int64_t>(span, 90))));
        return;
      }
      case Kind::sequence:
        for (const int32_t child : n.children) derive(child, out);
        return;
      case Kind::choice: {
        int32_t child = n.children[size_t(random_.below(int64_t(n.children.size())))];
        if (--left_ < 0 || cost_[size_t(child)] >= kNever) {
          child = *std::min_element(n.children.begin(), n.children.end(),
                                    [&](int32_t a, int32_t b) { return cost_[size_t(a)] < cost_[size_t(b)]; });
        }
        derive(child, out);
        return;
      }
      case Kind::repeat: {
        int32_t times = n.least;
        while (left_ > 0 && (n.most < 0 || times < n.most) && random_.below(3) != 0) {
          ++times;
          --left_;
        }
        if (left_ > 0 && n.most >= 0 && n.most < 50 && random_.below(8) == 0) times = n.most;
        for (int32_t i = 0; i < times; ++i) derive(n.children[0], out);
        return;
      }
      case Kind::rule:
        derive(rules_.rules[size_t(n.value)].node, out);
        return;
      case Kind::token:
        return;
    }
  }

  const GrammarRules& rules_;
  Random& random_;
  int left_;
  std::vector<int64_t> cost_;
};

}  // namespace

bool slow_accepts(const GrammarRules& rules, std::string_view text) {
  Recognizer recognizer(rules, text);
  return recognizer.ends(rules.rules[size_t(rules.root)].node, 0).contains(text.size());
}

std::string random_text(const GrammarRules& rules, Random& random, int size) {
  return Deriver(rules, random, size).text(rules.rules[size_t(rules.root)].node);
}

std::string malformed(const GrammarRules& rules) {
  const auto count = int32_t(rules.nodes.size()), rule_count = int32_t(rules.rules.size());
  if (rules.root < 0 || rules.root >= rule_count) return "root";
  for (const GrammarRule& r : rules.rules) {
    if (r.node < 0 || r.node >= count) return fmt::format("rule {} has node {}", r.name, r.node);
  }
  for (int32_t i = 0; i < count; ++i) {
    const GrammarNode& n = rules.nodes[size_t(i)];
    for (const int32_t child : n.children) {
      if (child < 0 || child >= count) return fmt::format("node {} has child {}", i, child);
    }
    if (n.kind == Kind::choice && n.children.empty()) return fmt::format("node {} chooses from nothing", i);
    if (n.kind == Kind::rule && (n.value < 0 || n.value >= rule_count))
      return fmt::format("node {} names rule {}", i, n.value);
    if (n.kind == Kind::repeat && (n.children.size() != 1 || n.least < 0 || (n.most >= 0 && n.most < n.least))) {
      return fmt::format("node {} repeats {} to {}", i, n.least, n.most);
    }
    if (n.kind == Kind::characters && n.ranges.empty()) return fmt::format("node {} has no characters", i);
    uint32_t next = 0;
    for (const CharacterRange r : n.ranges) {
      if (r.first < next || r.last < r.first || r.last > 0x10ffff) return fmt::format("ranges of node {}", i);
      next = r.last + 1;
    }
  }
  return {};
}

}  // namespace linnet

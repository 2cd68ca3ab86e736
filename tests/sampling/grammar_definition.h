// What a grammar means, said as plainly as possible: a recognizer that follows the rules as written, for tests to
// compare the compiled grammar with. And a vocabulary of given texts.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sampling/grammar_rules.h"
#include "sampling/vocabulary.h"

namespace linnet {

// The last token is the end of a generation; tokens with empty texts are control tokens named <i>.
class TextVocabulary : public SamplingVocabulary {
 public:
  explicit TextVocabulary(std::vector<std::string> texts) : texts_(std::move(texts)) { texts_.push_back(""); }
  int32_t size() const override { return int32_t(texts_.size()); }
  std::string_view bytes(int32_t token) const override { return texts_[size_t(token)]; }
  bool is_eog(int32_t token) const override { return token == eog(); }
  std::vector<int32_t> tokenize(std::string_view text) const override {
    for (int32_t t = 0; t < size(); ++t) {
      if (!text.empty() && bytes(t) == text) return {t};
    }
    return {};
  }
  int32_t find_token(std::string_view piece) const override {
    for (int32_t t = 0; t < size(); ++t) {
      if (bytes(t).empty() && piece == "<" + std::to_string(t) + ">") return t;
    }
    return -1;
  }
  int32_t eog() const { return int32_t(texts_.size()) - 1; }

 private:
  std::vector<std::string> texts_;
};

// The grammar over one sequence of tokens. A place is a token and a byte in it; a token without bytes has one place, that
// no byte can leave. ends(node, place) is the set of places that a text of the node, begun there, can end at. All parts of
// a grammar can be completed (that is checked when it is compiled), so a text can be completed exactly when some way
// through the grammar comes to its end at all: whether it wants more there or not.
class GrammarDefinition {
 public:
  GrammarDefinition(const GrammarRules& rules, const SamplingVocabulary& vocabulary, std::vector<int32_t> tokens)
      : rules_(rules), vocabulary_(vocabulary), tokens_(std::move(tokens)) {
    for (const int32_t token : tokens_) {
      const std::string_view bytes = vocabulary_.bytes(token);
      for (size_t i = 0; i < std::max<size_t>(1, bytes.size()); ++i) {
        places_.push_back({token, i == 0, bytes.empty() ? -1 : uint8_t(bytes[i]), std::max<size_t>(1, bytes.size())});
      }
    }
    complete_ = ends(rules_.rules[size_t(rules_.root)].node, 0).count(places_.size()) > 0;
  }

  bool complete() const { return complete_; }
  bool viable() const { return viable_; }

 private:
  struct Place {
    int32_t token;
    bool begins;  // the token begins here
    int byte;     // -1: none
    size_t length;
  };
  using Places = std::set<size_t>;

  const Places& ends(int32_t index, size_t at) {
    const auto known = known_.find({index, at});
    if (known != known_.end()) return known->second;
    if (at == places_.size()) viable_ = true;
    const GrammarNode& node = rules_.nodes[size_t(index)];
    Places out;
    switch (node.kind) {
      case GrammarNode::Kind::text:
        match(node.text, at, out);
        break;
      case GrammarNode::Kind::characters: {
        // As many bytes as the lead byte asks for; a character that is unfinished at the end of the text counts if any
        // character of the class begins so.
        for (const CharacterRange& range : node.ranges) characters(range, at, out);
        break;
      }
      case GrammarNode::Kind::token:
        if (at < places_.size() && places_[at].begins && places_[at].token == node.value) {
          out.insert(at + places_[at].length);
        }
        break;
      case GrammarNode::Kind::not_token:
        if (at < places_.size() && places_[at].begins && places_[at].byte >= 0 && places_[at].token != node.value &&
            !vocabulary_.is_eog(places_[at].token)) {
          out.insert(at + places_[at].length);
        }
        break;
      case GrammarNode::Kind::sequence:
        out = {at};
        for (const int32_t child : node.children) out = after(child, out);
        break;
      case GrammarNode::Kind::choice:
        for (const int32_t child : node.children) {
          const Places more = ends(child, at);
          out.insert(more.begin(), more.end());
        }
        break;
      case GrammarNode::Kind::repeat: {
        Places now{at};
        for (int32_t i = 0; i < node.least; ++i) now = after(node.children[0], now);
        out = now;
        for (int32_t i = node.least; i != node.most; ++i) {
          now = after(node.children[0], now);
          const size_t before = out.size();
          out.insert(now.begin(), now.end());
          if (out.size() == before) break;  // nothing new, so nothing later either: texts only get longer
        }
        break;
      }
      case GrammarNode::Kind::rule:
        out = ends(rules_.rules[size_t(node.value)].node, at);
        break;
    }
    for (const size_t end : out) viable_ = viable_ || end == places_.size();
    return known_[{index, at}] = std::move(out);
  }

  Places after(int32_t child, const Places& from) {
    Places out;
    for (const size_t at : from) {
      const Places more = ends(child, at);
      out.insert(more.begin(), more.end());
    }
    return out;
  }

  void match(std::string_view text, size_t at, Places& out) {
    for (const char c : text) {
      if (at == places_.size()) {
        viable_ = true;
        return;
      }
      if (places_[at].byte != uint8_t(c)) return;
      ++at;
    }
    out.insert(at);
  }

  void characters(CharacterRange range, size_t at, Places& out) {
    std::string bytes;  // up to four of the text
    for (size_t i = at; i < places_.size() && i < at + 4 && places_[i].byte >= 0; ++i) bytes += char(places_[i].byte);
    const bool ended = at + bytes.size() == places_.size();
    // The code points whose encodings begin with the bytes are one range for each number of bytes known.
    for (int length = 1; length <= 4; ++length) {
      static constexpr uint32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000}, kLast[] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};
      static constexpr uint8_t kLead[] = {0, 0x00, 0xc0, 0xe0, 0xf0}, kMask[] = {0, 0x80, 0xe0, 0xf0, 0xf8};
      if (bytes.empty() || (uint8_t(bytes[0]) & kMask[length]) != kLead[length]) continue;
      uint32_t value = uint8_t(bytes[0]) & uint8_t(~kMask[length]);
      int known = 1;
      for (; known < length && size_t(known) < bytes.size() && (uint8_t(bytes[size_t(known)]) & 0xc0) == 0x80;
           ++known) {
        value = value << 6 | (uint8_t(bytes[size_t(known)]) & 0x3f);
      }
      if (known < length && !(ended && size_t(known) == bytes.size())) continue;
      const int missing = 6 * (length - known);
      const uint32_t low = std::max({value << missing, kFirst[length], range.first});
      const uint32_t high = std::min({(value << missing) | ((uint32_t(1) << missing) - 1), kLast[length], range.last});
      bool some = false;
      for (uint32_t c = low; c <= high && !some; ++c) some = c < 0xd800 || c > 0xdfff;
      if (!some) continue;
      if (known < length) {
        viable_ = true;
      } else {
        out.insert(at + size_t(length));
      }
    }
  }

  const GrammarRules& rules_;
  const SamplingVocabulary& vocabulary_;
  const std::vector<int32_t> tokens_;
  std::vector<Place> places_;
  std::map<std::pair<int32_t, size_t>, Places> known_;
  bool viable_ = false;
  bool complete_ = false;
};

}  // namespace linnet

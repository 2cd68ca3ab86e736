// tokenizer.ggml.precompiled_charsmap:
//   u32     bytes of the trie, little-endian
//   u32[]   its units: a double array
//   char[]  replacements, each ended by a NUL; a value of the trie is where its replacement begins
//
// A unit: bits 0-7 the label (the byte that leads here), bit 8 whether a sequence ends here, bit 9 and 10-30 the offset
// to its children. The child for byte c of the node whose children are at `base` is the unit base ^ c if its label is
// c; then its children are at (base ^ c) ^ offset, where the unit for c = 0 holds the value, with bit 31 set.
#include "runtime/charsmap.h"

#include <algorithm>
#include <vector>

namespace linnet {
namespace {

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }
bool has_label(uint32_t unit, uint8_t label) { return (unit & 0x800000ff) == label; }
bool ends_sequence(uint32_t unit) { return unit & 0x100; }
uint32_t value_of(uint32_t unit) { return unit & 0x7fffffff; }

}  // namespace

uint32_t Charsmap::unit(size_t index) const {
  const auto byte = [&](size_t i) { return uint32_t(uint8_t(trie_[4 * index + i])); };
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

Result<Charsmap> Charsmap::parse(std::string_view bytes, std::string_view key) {
  Charsmap map;
  if (bytes.empty()) return map;
  uint32_t size = 0;
  for (size_t i = 0; i < 4 && i < bytes.size(); ++i) size |= uint32_t(uint8_t(bytes[i])) << 8 * i;
  if (bytes.size() < 4 || size > bytes.size() - 4 || size % 4 != 0 || size == 0) {
    return fail(Code::gguf_vocabulary,
                "{} has {} bytes and says that its trie has {}: expected a multiple of 4 that leaves room for the "
                "4 bytes before",
                key, bytes.size(), size);
  }
  map.trie_ = bytes.substr(4, size);
  map.replacements_ = bytes.substr(4 + size);
  if (!map.replacements_.empty() && map.replacements_.back() != '\0') {
    return fail(Code::gguf_vocabulary, "{}: its last replacement is not ended by a NUL", key);
  }
  LINNET_CHECK(map.check(key));
  return map;
}

// Darts-clone shares equal ends of sequences, so a node may be reached on several paths: the trie is an acyclic graph.
// Every value must be a replacement, none of them may make a text much longer, and no path may lead back or be longer
// than kMaxSequence.
Status Charsmap::check(std::string_view key) const {
  LINNET_CHECK(check_replacements(key));
  return check_paths(key);
}

// Calls visit(c, index, base of its children) for each child of the node whose children are at `base`, from byte c on,
// until it returns true.
template <class Visit>
bool Charsmap::any_child(uint32_t base, uint32_t c, Visit visit) const {
  for (; c < 256; ++c) {
    const size_t index = base ^ c;
    if (index < units() && has_label(unit(index), uint8_t(c)) &&
        visit(c, index, uint32_t(index) ^ offset_of(unit(index))))
      return true;
  }
  return false;
}

// Level by level, so that a node that is shared is seen at its least depth, where growth is largest.
Status Charsmap::check_replacements(std::string_view key) const {
  Status status;
  std::vector<bool> seen(units() + 256);  // by base; beyond, a node has no children
  std::vector<uint32_t> level = {offset_of(unit(0))}, next;
  for (size_t depth = 1; !level.empty(); ++depth) {
    next.clear();
    for (const uint32_t base : level) {
      const bool wrong = any_child(base, 1, [&](uint32_t, size_t index, uint32_t child) {
        if (ends_sequence(unit(index))) status = check_replacement(key, child, depth);
        if (child < seen.size() && !seen[child]) {
          seen[child] = true;
          next.push_back(child);
        }
        return !status;
      });
      if (wrong) return status;
    }
    level.swap(next);
  }
  return {};
}

Status Charsmap::check_replacement(std::string_view key, uint32_t base, size_t bytes) const {
  const size_t start = base < units() ? value_of(unit(base)) : replacements_.size();
  if (start >= replacements_.size()) {
    return fail(Code::gguf_vocabulary, "{}: the replacement of a sequence begins at byte {}, but there are {}", key,
                start, replacements_.size());
  }
  const size_t most = kMaxGrowth * bytes;
  if (replacements_.substr(start, most + 1).find('\0') == replacements_.npos) {
    return fail(Code::gguf_vocabulary, "{}: a sequence of {} bytes is replaced by more than {}", key, bytes, most);
  }
  return {};
}

// Depth first; what was walked once is not walked again, but its longest path counts.
Status Charsmap::check_paths(std::string_view key) const {
  struct Node {
    uint32_t base, next;
    size_t longest;  // path below, in bytes
  };
  constexpr uint8_t kOpen = 255;  // else 1 + the longest path below, 0 when not seen
  static_assert(kMaxSequence < kOpen - 1);
  std::vector<uint8_t> states(units() + 256);
  const auto wrong = [key](const char* what) {
    return fail(Code::gguf_vocabulary, "{} is no trie: a path in it {}", key, what);
  };
  std::vector<Node> path = {{offset_of(unit(0)), 1, 0}};
  states[std::min<size_t>(path[0].base, states.size() - 1)] = kOpen;
  while (!path.empty()) {
    Node& node = path.back();
    uint32_t child = 0;
    const bool more = any_child(node.base, node.next, [&](uint32_t c, size_t, uint32_t base) {
      node.next = c + 1;
      child = base;
      return true;
    });
    if (!more) {
      const Node done = node;
      path.pop_back();
      if (done.base < states.size()) states[done.base] = uint8_t(done.longest + 1);
      if (!path.empty()) path.back().longest = std::max(path.back().longest, done.longest + 1);
      continue;
    }
    const uint8_t state = child < states.size() ? states[child] : 1;
    if (state == kOpen) return wrong("leads back to where it was");
    const size_t longest = state == 0 ? 1 : state;  // from the present node on
    if (path.size() - 1 + longest > kMaxSequence) return wrong("is longer than any sequence of characters");
    if (state == 0) {
      states[child] = kOpen;
      path.push_back({child, 1, 0});
    } else {
      node.longest = std::max(node.longest, longest);
    }
  }
  return {};
}

Charsmap::Match Charsmap::longest(std::string_view text, size_t at) const {
  Match best;
  if (trie_.empty()) return best;
  uint32_t base = offset_of(unit(0));
  for (size_t i = at; i < text.size(); ++i) {
    const uint8_t c = uint8_t(text[i]);
    const size_t index = base ^ c;
    if (c == 0 || index >= units() || !has_label(unit(index), c)) break;
    base = uint32_t(index) ^ offset_of(unit(index));
    if (!ends_sequence(unit(index))) continue;
    const std::string_view rest = replacements_.substr(value_of(unit(base)));
    best = {i + 1 - at, rest.substr(0, rest.find('\0'))};
  }
  return best;
}

}  // namespace linnet

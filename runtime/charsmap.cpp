// tokenizer.ggml.precompiled_charsmap:
//   u32     bytes of the trie, little-endian
//   u32[]   its units: a double array
//   char[]  replacements, each ended by a NUL; a value of the trie is where its replacement begins
//
// A unit: bits 0-7 the label (the byte that leads here), bit 8 whether a sequence ends here, bit 9 and 10-30 the offset
// to its children. The child for byte c of the node whose children are at `base` is the unit base ^ c if its label is
// c; then its children are at (base ^ c) ^ offset, where the unit for c = 0 holds the value, with bit 31 set.
#include "runtime/charsmap.h"

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

// Walks the whole trie: every node is reached once, no sequence is too long, every value is a replacement, and none of
// them makes a text much longer.
Status Charsmap::check(std::string_view key) const {
  struct Node {
    uint32_t base;
    uint32_t depth;
  };
  std::vector<Node> open = {{offset_of(unit(0)), 0}};
  for (size_t reached = 0; !open.empty(); ++reached) {
    const Node node = open.back();
    open.pop_back();
    if (reached > units() || node.depth > kMaxSequence) {
      return fail(Code::gguf_vocabulary, "{} is no trie: a path in it {}", key,
                  reached > units() ? "leads back to where it was" : "is longer than any sequence of characters");
    }
    for (uint32_t c = 1; c < 256; ++c) {
      const size_t index = node.base ^ c;
      if (index >= units() || !has_label(unit(index), uint8_t(c))) continue;
      const uint32_t base = uint32_t(index) ^ offset_of(unit(index));
      if (ends_sequence(unit(index))) {
        const size_t start = base < units() ? value_of(unit(base)) : replacements_.size();
        if (start >= replacements_.size()) {
          return fail(Code::gguf_vocabulary, "{}: the replacement of a sequence begins at byte {}, but there are {}",
                      key, start, replacements_.size());
        }
        const size_t most = size_t(kMaxGrowth) * (node.depth + 1);
        if (replacements_.substr(start, most + 1).find('\0') == replacements_.npos) {
          return fail(Code::gguf_vocabulary, "{}: a sequence of {} bytes is replaced by more than {}", key,
                      node.depth + 1, most);
        }
      }
      open.push_back({base, node.depth + 1});
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

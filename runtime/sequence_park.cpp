// A sequence as bytes. Integers are those of the machine, since pages are too: the bytes return to the same build and
// model, they are no exchange format.
//
//   u64 magic, u64 identity of the model, u64 salt
//   i64 positions, i64 groups
//   i32 tokens[positions]
//   per group: i64 page_bytes, i64 first page, i64 pages, then their bytes
//
// Only computed positions are parked.
#include <algorithm>
#include <cstring>

#include "runtime/sequence.h"

namespace linnet {
namespace {

constexpr uint64_t kMagic = 0x31304b5241504e4c;  // "LNPARK01" in memory order

class Bytes {
 public:
  template <class T>
  void put(T value) {
    put(&value, sizeof(T));
  }
  void put(const void* data, size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    out.insert(out.end(), begin, begin + size);
  }
  std::vector<std::byte> out;
};

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
  bool get(T& value) {
    return get(&value, sizeof(T));
  }
  bool get(void* data, size_t size) {
    if (size > rest_.size()) return false;
    if (size > 0) std::memcpy(data, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return true;
  }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

Error damaged(const char* what) {
  return fail(Code::invalid_argument, "a parked sequence cannot be resumed: {}; park it again with this model", what);
}

}  // namespace

std::vector<std::byte> Sequence::park() const {
  Bytes bytes;
  bytes.put(kMagic);
  bytes.put(pool_->index().identity());
  bytes.put(salt_);
  bytes.put(computed_);
  bytes.put(static_cast<int64_t>(held_.size()));
  bytes.put(tokens_.data(), static_cast<size_t>(computed_) * sizeof(int32_t));
  for (size_t g = 0; g < held_.size(); ++g) {
    const Held& h = held_[g];
    const int64_t end = std::min(h.end(), (computed_ + kPageTokens - 1) / kPageTokens);
    const int64_t pages = std::max<int64_t>(end - h.first, 0);
    bytes.put(group(g).page_bytes);
    bytes.put(h.first);
    bytes.put(pages);
    for (int64_t i = 0; i < pages; ++i) {
      bytes.put(h.data[static_cast<size_t>(i)], static_cast<size_t>(group(g).page_bytes));
    }
  }
  return std::move(bytes).out;
}

Result<Sequence> Sequence::resume(PagePool& pool, std::span<const std::byte> bytes) {
  Cursor in(bytes);
  uint64_t magic = 0, identity = 0, salt = 0;
  int64_t positions = 0, groups = 0;
  if (!in.get(magic) || magic != kMagic) return damaged("the bytes do not begin with its magic number");
  if (!in.get(identity) || identity != pool.index().identity()) return damaged("it belongs to another model");
  if (!in.get(salt) || !in.get(positions) || !in.get(groups)) return damaged("its header is cut off");
  if (groups != static_cast<int64_t>(pool.groups().size())) return damaged("its layer groups are not the model's");
  if (positions < 0 || static_cast<uint64_t>(positions) > in.left() / sizeof(int32_t)) {
    return damaged("its tokens are cut off");
  }
  Sequence sequence(pool, salt, false);
  sequence.tokens_.resize(static_cast<size_t>(positions));
  if (!in.get(sequence.tokens_.data(), sequence.tokens_.size() * sizeof(int32_t))) {
    return damaged("its tokens are cut off");
  }
  for (size_t g = 0; g < sequence.held_.size(); ++g) {
    const LayerGroup& group = pool.groups()[g];
    const int64_t first_needed = group.visible_begin(positions) / kPageTokens;
    const int64_t end = (positions + kPageTokens - 1) / kPageTokens;
    int64_t page_bytes = 0, first = 0, pages = 0;
    if (!in.get(page_bytes) || !in.get(first) || !in.get(pages)) return damaged("its page table is cut off");
    if (page_bytes != group.page_bytes) return damaged("its pages have another size");
    if (first < 0 || first > first_needed || pages != std::max<int64_t>(end - first, 0)) {
      return damaged("its pages do not cover the positions that the next token sees");
    }
    if (static_cast<uint64_t>(pages) > in.left() / static_cast<uint64_t>(page_bytes)) {
      return damaged("its pages are cut off");
    }
    sequence.held_[g].first = first;
    LINNET_CHECK(sequence.extend_to(g, first + pages));
    for (std::byte* data : sequence.held_[g].data) in.get(data, static_cast<size_t>(page_bytes));
  }
  if (in.left() != 0) return damaged("bytes are left over");
  sequence.computed_ = positions;
  return sequence;
}

}  // namespace linnet

// A sequence as bytes. Integers are those of the machine, since pages are too: the bytes return to the same build and
// model, they are no exchange format.
//
//   u64 magic, u64 identity of the model, u64 salt
//   i64 positions, i64 groups, i64 keep, i64 dropped
//   i32 tokens[positions], the dropped ones included
//   per group: i64 page_bytes, i64 from, i64 first page, i64 pages, then their bytes, then those of the unturned sinks
//              (pages from / 64 to keep / 64, after a shift)
//
// Only computed positions are parked. The last digit of the magic number counts changes of this format.
#include <algorithm>
#include <cstring>

#include "runtime/sequence.h"

namespace linnet {

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : rest_(bytes) {}
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

namespace {

constexpr uint64_t kMagic = 0x32304b5241504e4c;  // "LNPARK02" in memory order

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
  bytes.put(keep_);
  bytes.put(dropped_);
  bytes.put(tokens_.data(), static_cast<size_t>(computed_) * sizeof(int32_t));
  for (size_t g = 0; g < held_.size(); ++g) {
    const Held& h = held_[g];
    const int64_t end = std::min(h.end(), (computed_ - dropped_ + kPageTokens - 1) / kPageTokens);
    const int64_t pages = std::max<int64_t>(end - h.first, 0);
    const auto page_bytes = static_cast<size_t>(group(g).page_bytes);
    bytes.put(group(g).page_bytes);
    bytes.put(h.from);
    bytes.put(h.first);
    bytes.put(pages);
    for (int64_t i = 0; i < pages; ++i) bytes.put(h.data[static_cast<size_t>(i)], page_bytes);
    for (const Page* sink : h.unturned) bytes.put(sink->data, page_bytes);
  }
  return std::move(bytes).out;
}

Status Sequence::resume_group(size_t g, ByteCursor& in) {
  Held& h = held(g);
  int64_t page_bytes = 0, pages = 0;
  if (!in.get(page_bytes) || !in.get(h.from) || !in.get(h.first) || !in.get(pages)) {
    return damaged("its page table is cut off");
  }
  if (page_bytes != group(g).page_bytes) return damaged("its pages have another size");
  if (h.from < 0 || h.from > keep_) return damaged("its windows begin behind the positions that it keeps");
  const int64_t end = (in_view() + kPageTokens - 1) / kPageTokens;
  if (h.first < 0 || h.first > seen_from(g, in_view()) / kPageTokens || pages != std::max<int64_t>(end - h.first, 0)) {
    return damaged("its pages do not cover the positions that the next token sees");
  }
  const int64_t sinks = keep_ / kPageTokens - h.from / kPageTokens;
  if (static_cast<uint64_t>(pages + sinks) > in.left() / static_cast<uint64_t>(page_bytes)) {
    return damaged("its pages are cut off");
  }
  LINNET_CHECK(extend_to(g, h.first + pages));
  for (std::byte* data : h.data) in.get(data, static_cast<size_t>(page_bytes));
  h.unturned.reserve(static_cast<size_t>(sinks));
  for (int64_t i = 0; i < sinks; ++i) {
    LINNET_TRY(Page * page, pool_->take(static_cast<int32_t>(g)));
    h.unturned.push_back(page);
    in.get(page->data, static_cast<size_t>(page_bytes));
  }
  return {};
}

Result<Sequence> Sequence::resume(PagePool& pool, std::span<const std::byte> bytes) {
  ByteCursor in(bytes);
  uint64_t magic = 0, identity = 0, salt = 0;
  int64_t positions = 0, groups = 0, keep = 0, dropped = 0;
  if (!in.get(magic) || magic != kMagic) return damaged("the bytes do not begin with its magic number");
  if (!in.get(identity) || identity != pool.index().identity()) return damaged("it belongs to another model");
  if (!in.get(salt) || !in.get(positions) || !in.get(groups) || !in.get(keep) || !in.get(dropped)) {
    return damaged("its header is cut off");
  }
  if (groups != static_cast<int64_t>(pool.groups().size())) return damaged("its layer groups are not the model's");
  if (positions < 0 || static_cast<uint64_t>(positions) > in.left() / sizeof(int32_t)) {
    return damaged("its tokens are cut off");
  }
  const bool whole_pages = keep % kPageTokens == 0 && dropped % kPageTokens == 0;
  if (keep < 0 || dropped < 0 || keep > positions || dropped > positions - keep || !whole_pages ||
      (dropped == 0 && keep > 0)) {
    return damaged("the positions that it dropped are not its own");
  }
  Sequence sequence(pool, salt, false);
  sequence.keep_ = keep;
  sequence.dropped_ = dropped;
  sequence.tokens_.resize(static_cast<size_t>(positions));
  if (!in.get(sequence.tokens_.data(), sequence.tokens_.size() * sizeof(int32_t))) {
    return damaged("its tokens are cut off");
  }
  for (size_t g = 0; g < sequence.held_.size(); ++g) LINNET_CHECK(sequence.resume_group(g, in));
  if (in.left() != 0) return damaged("bytes are left over");
  sequence.computed_ = positions;
  return sequence;
}

}  // namespace linnet

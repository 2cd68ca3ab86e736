// The one way to read bytes of a file: little-endian values at a position that cannot leave its span.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace linnet {

static_assert(std::endian::native == std::endian::little, "files are little-endian and are used in place");

class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  const std::byte* here() const { return bytes_.data() + position_; }

  // False, and nothing moved, when fewer bytes are left.
  template <class T>
  bool read(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, here(), sizeof(T));
    position_ += sizeof(T);
    return true;
  }
  bool skip(uint64_t bytes) {
    if (remaining() < bytes) return false;
    position_ += bytes;
    return true;
  }
  bool read(std::string_view& text, uint64_t bytes) {
    const char* start = reinterpret_cast<const char*>(here());
    if (!skip(bytes)) return false;
    text = {start, size_t(bytes)};
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
};

}  // namespace linnet

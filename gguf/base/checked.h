// Arithmetic on sizes that come from files: every operation remembers whether it wrapped.
//   Checked bytes = Checked(rows) * row_bytes + header;  if (!bytes.ok()) ...
#pragma once

#include <cstdint>

namespace linnet {

class Checked {
 public:
  constexpr Checked(uint64_t value) : value_(value) {}  // NOLINT: implicit on purpose
  constexpr bool ok() const { return ok_; }
  // Only meaningful when ok().
  constexpr uint64_t value() const { return value_; }

  friend constexpr Checked operator+(Checked a, Checked b) {
    Checked r(0);
    r.ok_ = !__builtin_add_overflow(a.value_, b.value_, &r.value_) && a.ok_ && b.ok_;
    return r;
  }
  friend constexpr Checked operator*(Checked a, Checked b) {
    Checked r(0);
    r.ok_ = !__builtin_mul_overflow(a.value_, b.value_, &r.value_) && a.ok_ && b.ok_;
    return r;
  }
  // Rounds up to a multiple of a power of two.
  constexpr Checked align(uint64_t power_of_two) const {
    Checked r = *this + Checked(power_of_two - 1);
    r.value_ &= ~(power_of_two - 1);
    return r;
  }

 private:
  uint64_t value_;
  bool ok_ = true;
};

}  // namespace linnet

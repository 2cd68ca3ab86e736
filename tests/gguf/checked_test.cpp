#include "gguf/base/checked.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace linnet {
namespace {

using Wide = unsigned __int128;

TEST(Checked, AgreesWith128Bits) {
  Random random(1);
  const Wide limit = Wide(~uint64_t(0));
  int wrapped = 0;
  const int count = test_count(200000);
  for (int i = 0; i < count; ++i) {
    const uint64_t a = random.next() >> random.below(64), b = random.next() >> random.below(64);
    const uint64_t c = random.next() >> random.below(64);
    const Wide exact = Wide(a) * b + c;
    const bool fits = Wide(a) * b <= limit && exact <= limit;
    const Checked r = Checked(a) * b + c;
    ASSERT_EQ(r.ok(), fits) << a << " * " << b << " + " << c;
    if (fits) { ASSERT_EQ(r.value(), uint64_t(exact)); }
    wrapped += !fits;
    const uint64_t power = uint64_t(1) << random.below(64);
    const Wide aligned = (Wide(a) + power - 1) / power * power;
    const Checked up = Checked(a).align(power);
    ASSERT_EQ(up.ok(), Wide(a) + power - 1 <= limit);
    if (up.ok()) { ASSERT_EQ(up.value(), uint64_t(aligned)); }
  }
  std::printf("%d of %d results exceed 64 bits\n", wrapped, count);
}

// Once wrapped, always wrapped: a later result that would fit again must not hide it.
TEST(Checked, RemembersAnOverflow) {
  const Checked wrapped = Checked(~uint64_t(0)) + 1;
  EXPECT_FALSE(wrapped.ok());
  EXPECT_FALSE((wrapped * 0).ok());
  EXPECT_FALSE((Checked(1) + wrapped).ok());
  EXPECT_FALSE((Checked(0) * wrapped).ok());
  EXPECT_FALSE(wrapped.align(8).ok());
  EXPECT_TRUE((Checked(~uint64_t(0)) * 0).ok());
}

}  // namespace
}  // namespace linnet

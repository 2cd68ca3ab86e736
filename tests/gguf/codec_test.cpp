// Decoding of every format: against blocks of another program, against bytes written here, and its three definitions
// (value, decode, integer view) against each other.
#include "gguf/codec.h"

#include <bit>
#include <limits>

#include "tests/gguf/format_suite.h"

namespace linnet {
namespace {

uint32_t bits(float x) { return std::bit_cast<uint32_t>(x); }

template <class F>
class Decode : public ::testing::Test {};
TYPED_TEST_SUITE(Decode, AllFormats, FormatName);

TYPED_TEST(Decode, ReferenceBlocksBitForBit) {
  using F = TypeParam;
  const auto blocks = reference_file(F::type, ".q.bin"), values = reference_file(F::type, ".f32.bin");
  if (!blocks || !values) GTEST_SKIP() << "no reference blocks of " << type_info(F::type)->name;
  const std::vector<char> q = read_bytes(*blocks);
  const std::vector<float> expected = read_floats(*values);
  ASSERT_EQ(expected.size(), 2048u);
  ASSERT_EQ(q.size(), expected.size() / F::values * sizeof(typename F::Block));
  std::vector<float> y(expected.size());
  codec(F::type)->decode(q.data(), y.data(), int64_t(y.size()));
  for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(bits(y[i]), bits(expected[i])) << "value " << i;
}

// One block per format: byte i is (73 i + 41) mod 256, d is 0x2a51, dmin or m 0x27c3 (halves), Q8_K's d 0x3c9a5b11; the
// scales of MXFP4 and NVFP4 are bytes like the others.
// Expected values come from a separate decoder, which was checked against the reference blocks.
struct Vector {
  Type type;
  uint64_t hash;    // FNV-1a over the 32-bit patterns of all values
  float picked[4];  // values 0, n/4 + 1, n/2 + 5, n - 1
};
constexpr Vector kVectors[] = {
    {Type::q4_0, 0xbaacb12295aadda5, {0x1.2f3p-3f, 0x1.944p-3f, -0x1.2f3p-2f, -0x1.944p-2f}},
    {Type::q4_1, 0xe84d0a6531775da5, {0x1.57fap-1f, 0x1.713ep-1f, 0x1.2572p-1f, 0x1.e5d4p-2f}},
    {Type::q5_0, 0xa099aa8f45b0b9a5, {0x1.7afcp-1f, -0x1.944p-1f, -0x1.2f3p-1f, 0x1.944p-4f}},
    {Type::q5_1, 0xcddc717be8d5c125, {0x1.bd0ap-1f, 0x1.d64ep-1f, 0x1.57fap-1f, 0x1.2572p-1f}},
    {Type::q8_0, 0xb6df96f7216ddf25, {-0x1.b3d5p+1f, 0x1.e00cp+1f, -0x1.c6c8p+1f, -0x1.5b67p+2f}},
    {Type::q8_1, 0x74f1842fed4e7225, {0x1.e65dp+1f, -0x1.ad84p+0f, 0x1.d36ap+1f, 0x1.c6c8p+0f}},
    {Type::q2_k, 0x27821106d9b9e625, {0x1.88bp-2f, -0x1.f0cp-4f, -0x1.d11p-4f, -0x1.b2a8p-3f}},
    {Type::q3_k, 0xc837ae74a62b8325, {-0x1.61b8p-2f, 0x1.6809p+1f, -0x1.944p-1f, -0x1.2f3p+0f}},
    {Type::q4_k, 0xa26c10e671ce97b1, {0x1.126dcp+2f, 0x1.7bf98p+1f, 0x1.5d6c4p+2f, -0x1.650ap-1f}},
    {Type::q5_k, 0x0755db2e08a2a3e9, {0x1.d1aaep+3f, 0x1.7bf98p+1f, 0x1.5d6c4p+2f, -0x1.650ap-1f}},
    {Type::q6_k, 0xa138441c30df4325, {0x1.fc788p+2f, 0x1.d826cp+3f, 0x1.d0418p+3f, 0x1.c6c8p+3f}},
    {Type::q8_k, 0xcf10154d6fdd391e, {0x1.736b2p+0f, -0x1.952f0cp-1f, 0x1.17c50ep+0f, 0x1.34b622p-4f}},
    {Type::iq4_nl, 0xab2964df93f924e5, {0x1.e00cp+0f, 0x1.4ec5p+1f, -0x1.06218p+2f, -0x1.91178p+2f}},
    {Type::iq4_xs, 0xdbecae6ab4bbdf0d, {-0x1.29a92p+7f, 0x1.b240cp+4f, -0x1.2aa5c8p+6f, -0x1.2814ep+5f}},
    {Type::q1_0, 0x7c387752b78c2d25, {0x1.944p-5f, 0x1.944p-5f, -0x1.944p-5f, -0x1.944p-5f}},
    {Type::q2_0, 0xcdfd7944c3aa0825, {0x1.944p-4f, 0x1.944p-4f, 0x1.944p-4f, -0x1.944p-5f}},
    {Type::iq1_s, 0x35cf672f03e872e5, {0x1.f95p-6f, 0x1.c6c8p-5f, 0x1.71828p-1f, -0x1.ba26p-3f}},
    {Type::iq1_m, 0x460c80769e786f25, {0x1.094ap-3f, 0x1.3581p-2f, -0x1.e65dp-2f, -0x1.ffa1p-2f}},
    {Type::iq2_xxs, 0x4ae2e76dd55349e5, {-0x1.866edp+2f, -0x1.c6c8p-2f, -0x1.0a793p+2f, -0x1.c5fdep+1f}},
    {Type::iq2_xs, 0xf1a77789c6a0d50d, {0x1.228ep+0f, -0x1.0a793p+2f, 0x1.879ep+0f, 0x1.879ep+0f}},
    {Type::iq2_s, 0xde7e108ed83d8525, {-0x1.61b8p-2f, -0x1.b240cp+0f, -0x1.7afcp-1f, -0x1.318e6p+1f}},
    {Type::iq3_xxs, 0x3a47b0ae3411989d, {-0x1.d4fe4p+3f, -0x1.2f3p-3f, 0x1.4874p-1f, 0x1.7fb8cp+3f}},
    {Type::iq3_s, 0xf12eb6242209f2d5, {-0x1.ba26p+0f, -0x1.009aap+4f, 0x1.38a98p+2f, 0x1.e65dp+1f}},
    {Type::tq1_0, 0x0395b28bc1f8d725, {-0x1.944p-5f, -0x1.944p-5f, 0x0p+0f, 0x1.944p-5f}},
    {Type::tq2_0, 0x57b3c43df033b725, {0x0p+0f, 0x1.944p-4f, 0x1.944p-5f, -0x1.944p-5f}},
    {Type::mxfp4, 0x2235f9c87a0af5a5, {0x1p-86f, 0x1.8p-86f, -0x1.8p-85f, -0x1.8p-86f}},
    {Type::nvfp4, 0xb753c46680150825, {-0x1.bp-1f, -0x1.4p+9f, -0x1.6p+0f, 0x1p-7f}},
};

template <class F>
typename F::Block vector_block() {
  typename F::Block b;
  auto* bytes = reinterpret_cast<uint8_t*>(&b);
  for (size_t i = 0; i < sizeof(b); ++i) bytes[i] = uint8_t(73 * i + 41);
  if constexpr (F::type != Type::mxfp4 && F::type != Type::nvfp4) set_scales<F>(b, Half{0x2a51}, Half{0x27c3});
  if constexpr (F::type == Type::q8_k) b.d = std::bit_cast<float>(0x3c9a5b11u);
  return b;
}

TYPED_TEST(Decode, WrittenBlock) {
  using F = TypeParam;
  if constexpr (is_quantized<F>) {
    const Vector* expected = nullptr;
    for (const Vector& v : kVectors)
      if (v.type == F::type) expected = &v;
    ASSERT_NE(expected, nullptr) << "no vector for this format";
    const typename F::Block b = vector_block<F>();
    float y[F::values];
    codec(F::type)->decode(&b, y, F::values);
    uint64_t hash = 0xcbf29ce484222325u;
    for (const float v : y) hash = (hash ^ bits(v)) * 0x100000001b3u;
    EXPECT_EQ(y[0], expected->picked[0]);
    EXPECT_EQ(y[F::values / 4 + 1], expected->picked[1]);
    EXPECT_EQ(y[F::values / 2 + 5], expected->picked[2]);
    EXPECT_EQ(y[F::values - 1], expected->picked[3]);
    EXPECT_EQ(hash, expected->hash);
  }
}

TEST(DecodeFloats, WrittenValues) {
  const Half halves[] = {{0x3c00}, {0xc000}, {0x0001}, {0x7bff}, {0x8400}, {0x3555}};
  float y[6];
  codec(Type::f16)->decode(halves, y, 6);
  const float expected[] = {1, -2, 0x1p-24f, 65504, -0x1p-14f, 0x1.554p-2f};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(bits(y[i]), bits(expected[i]));
  const BFloat16 wide[] = {{0x3f80}, {0xc000}, {0x0001}, {0x7f7f}, {0x8080}, {0x3eab}};
  codec(Type::bf16)->decode(wide, y, 6);
  const float expected_wide[] = {1, -2, 0x1p-133f, 0x1.fep127f, -0x1p-126f, 0x1.56p-2f};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(bits(y[i]), bits(expected_wide[i]));
}

TYPED_TEST(Decode, LayoutMatchesTheTypeTable) {
  using F = TypeParam;
  const TypeInfo* info = type_info(F::type);
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->block_values, F::values);
  EXPECT_EQ(info->block_bytes, int(sizeof(typename F::Block)));
  EXPECT_EQ(alignof(typename F::Block), 1u);
  ASSERT_NE(codec(F::type), nullptr);
  EXPECT_EQ(codec(F::type)->type, F::type);
}

TYPED_TEST(Decode, EqualsValueAtAnyAddress) {
  using F = TypeParam;
  Random random(uint64_t(F::type) + 1);
  const int count = test_count(400);
  for (int n = 0; n < count; ++n) {
    const typename F::Block blocks[2] = {random_block<F>(random), random_block<F>(random)};
    char moved[sizeof(blocks) + 1];
    std::memcpy(moved + 1, blocks, sizeof(blocks));
    float y[2 * F::values];
    codec(F::type)->decode(moved + 1, y, 2 * F::values);
    for (int i = 0; i < 2 * F::values; ++i) {
      ASSERT_EQ(bits(codec(F::type)->value(blocks, i)), bits(y[i])) << "value " << i;
      ASSERT_EQ(bits(F::value(blocks[i / F::values], i % F::values)), bits(y[i])) << "value " << i;
    }
  }
}

// The integer view in double is exact but for its last operation; value() rounds up to two products of each term and
// the difference, each by half an ulp.
template <class F>
void check_unit(const typename F::Block& b) {
  const double eps = std::numeric_limits<float>::epsilon();
  int64_t most = 0, most_min = 0;  // of the integer sums against codes of 127
  for (int i = 0; i < F::values; ++i) {
    const double product = double(F::scale(b)) * F::weight(b, i);
    most += 127 * std::abs(int64_t(F::weight(b, i)));
    double low = 0;
    if constexpr (F::has_min) {
      low = double(F::minimum(b)) * F::min_weight(b, i);
      most_min += 127 * std::abs(int64_t(F::min_weight(b, i)));
    }
    const double error = std::abs(double(F::value(b, i)) - (product - low));
    const double bound = 1.5 * eps * (std::abs(product) + std::abs(low)) + 0x1p-149;
    if (!(error <= bound)) FAIL() << "value " << i << " is off by " << error << ", allowed " << bound;
  }
  EXPECT_LE(most, std::numeric_limits<int32_t>::max());
  EXPECT_LE(most_min, std::numeric_limits<int32_t>::max());
}

// Of each unit; and a block's values are those of its units.
template <class F>
void check_view(const typename F::Block& b) {
  using U = UnitFormat<F>;
  for (int u = 0; u < units_per_block<F>; ++u) {
    const typename U::Block unit = unit_block<F>(&b, u);
    check_unit<U>(unit);
    for (int i = 0; i < U::values; ++i) ASSERT_EQ(bits(U::value(unit, i)), bits(F::value(b, u * U::values + i)));
  }
}

TYPED_TEST(Decode, IntegerViewIsTheValue) {
  using F = TypeParam;
  if constexpr (is_quantized<F>) {
    Random random(uint64_t(F::type) + 100);
    const int count = test_count(2000);
    for (int n = 0; n < count; ++n) check_view<F>(random_block<F>(random));
    // Every byte in every place.
    for (int byte = 0; byte < 256; ++byte) {
      typename F::Block b;
      std::memset(&b, byte, sizeof(b));
      const auto half = [&] { return to_half(random.normal()); };
      set_scales<F>(b, half(), half());
      check_view<F>(b);
    }
  }
}

TEST(Codec, IsNullForTypesWithoutAFormat) {
  EXPECT_EQ(codec(Type::i32), nullptr);
  EXPECT_EQ(codec(Type(4)), nullptr);
  int formats = 0;
  for_each_format([&]<class F>() { formats += codec(F::type) != nullptr; });
  EXPECT_EQ(formats, 30);
}

}  // namespace
}  // namespace linnet

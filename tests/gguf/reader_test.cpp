// Good files: what the reader says about them.
#include "gguf/reader.h"

#include <gtest/gtest.h>

#include <cstring>

#include "gguf/base/json.h"
#include "gguf/types.h"
#include "tests/gguf/counting_new.h"
#include "tests/gguf/exercise.h"
#include "tests/gguf/sample_model.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

TEST(Reader, EveryValueType) {
  const SampleBytes b = good_models()[1].encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  ASSERT_EQ(g->values().size(), 13u);
  EXPECT_EQ(g->values()[1].key, "v.u8");
  EXPECT_EQ(g->find("v.u8")->integer(), 200);
  EXPECT_EQ(g->find("v.i8")->integer(), -100);
  EXPECT_EQ(g->find("v.u16")->integer(), 60000);
  EXPECT_EQ(g->find("v.i16")->integer(), -30000);
  EXPECT_EQ(g->find("v.u32")->integer(), 4000000000);
  EXPECT_EQ(g->find("v.i32")->integer(), -2000000000);
  EXPECT_EQ(g->find("v.i64")->integer(), -5);
  EXPECT_EQ(g->find("v.u64")->integer(), INT64_MAX);  // saturated
  EXPECT_EQ(*g->integer("v.u64"), 0x8000000000000001u);
  EXPECT_EQ(g->find("v.f32")->number(), 1.5);
  EXPECT_EQ(g->find("v.f64")->number(), 0.1);
  EXPECT_EQ(*g->number("v.i8"), -100.0);
  EXPECT_TRUE(*g->boolean("v.bool"));
  EXPECT_EQ(*g->string("v.string"), "Grüße, 世界");
  EXPECT_TRUE(g->find("v.i8")->is_integer());
  EXPECT_FALSE(g->find("v.f32")->is_integer());
  EXPECT_TRUE(g->find("v.f32")->is_number());
  EXPECT_FALSE(g->find("v.bool")->is_number());
  for (const Value& v : g->values()) {
    EXPECT_EQ(v.count, 1u);
    EXPECT_EQ(v.type, v.element);
    EXPECT_EQ(v.data, b.span().data() + v.offset);
    EXPECT_EQ(b.at(std::string(v.key) + " type") + 4, v.offset);
  }
}

TEST(Reader, EveryArrayType) {
  const SampleBytes b = good_models()[2].encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  const auto numbers = [&](std::string_view key) {
    const Value& v = *g->find(key);
    std::vector<double> all;
    for (uint64_t i = 0; i < v.count; ++i) all.push_back(v.is_number() ? v.number(i) : double(v.integer(i)));
    return all;
  };
  using Numbers = std::vector<double>;
  EXPECT_EQ(numbers("a.u8"), (Numbers{1, 2, 3}));
  EXPECT_EQ(numbers("a.i8"), (Numbers{-1, 2}));
  EXPECT_EQ(numbers("a.u16"), (Numbers{1, 65535}));
  EXPECT_EQ(numbers("a.i16"), (Numbers{-7}));
  EXPECT_EQ(numbers("a.u32"), (Numbers{}));
  EXPECT_EQ(numbers("a.i32"), (Numbers{1, -2, 3, -4}));
  EXPECT_EQ(numbers("a.f32"), (Numbers{0.5, -1.25}));
  EXPECT_EQ(numbers("a.bool"), (Numbers{0, 1, 1}));
  EXPECT_EQ(numbers("a.u64"), (Numbers{0x1p64}));
  EXPECT_EQ(numbers("a.i64"), (Numbers{-1}));
  EXPECT_EQ(numbers("a.f64"), (Numbers{3.25}));
  const std::vector<std::string_view> texts = g->find("a.string")->strings();
  ASSERT_EQ(texts.size(), 5u);
  EXPECT_EQ(texts[0], "");
  EXPECT_EQ(texts[2], "<0x00>");
  EXPECT_EQ(texts[3], "\xff\xfe not text");
  const Value& nested = *g->find("a.nested");
  EXPECT_EQ(nested.type, ValueType::array);
  EXPECT_EQ(nested.element, ValueType::array);
  EXPECT_EQ(nested.count, 2u);
  EXPECT_EQ(nested.bytes, 2 * (12 + 2 * (12 + 2 * (12 + 3u))));
  EXPECT_EQ(value_type_name(nested.type), "array");
}

TEST(Reader, TensorsPointAtTheirData) {
  SampleModel m = tiny_model();
  m.tensors[0].data = "first tensor";
  m.tensors[1].data = "second tensor";
  const SampleBytes b = m.encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  ASSERT_EQ(g->tensors().size(), 2u);
  const Tensor& a = g->tensors()[0];
  EXPECT_EQ(a.name, "a.weight");
  EXPECT_EQ(a.type, Type::q4_0);
  EXPECT_EQ(a.n_dims, 2u);
  EXPECT_EQ(a.dims, (std::array<uint64_t, 4>{64, 2, 1, 1}));
  EXPECT_EQ(a.bytes, 72u);
  EXPECT_EQ(a.rows(), 2u);
  EXPECT_EQ(a.data, b.span().data() + a.offset);
  EXPECT_EQ(std::memcmp(a.data, "first tensor", 12), 0);
  EXPECT_EQ(std::memcmp(g->tensor("b.weight")->data, "second tensor", 13), 0);
  EXPECT_EQ(g->tensor("b.weigh"), nullptr);
  EXPECT_EQ(g->find("sample.block_coun"), nullptr);
  EXPECT_EQ(g->alignment(), 32u);
  EXPECT_EQ(g->version(), 3u);
  EXPECT_EQ(g->shards(), 1u);
  EXPECT_TRUE(g->unchanged());
}

TEST(Reader, IsMovable) {
  const TempFolder folder;
  Result<Gguf> g = Gguf::open(folder.write("m.gguf", tiny_model().encode().bytes()));
  ASSERT_TRUE(g);
  const std::byte* data = g->tensors()[0].data;
  Gguf moved = *std::move(g);
  Gguf again = std::move(moved);
  EXPECT_EQ(again.tensor("a.weight")->data, data);
  EXPECT_EQ(again.tensor("a.weight")->data[0], std::byte(0));
}

// 150,000 strings: what a large vocabulary costs. Steps are bounded by what is allocated: nothing per string.
TEST(Reader, LongStringArraysCostNoMemory) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 150000; ++i) tokens.push_back("token " + std::to_string(i));
  SampleModel m = tiny_model();
  m.keys.push_back(sample_strings("tokenizer.ggml.tokens", tokens));
  const SampleBytes b = m.encode();
  const AllocationCount count;
  const Result<Gguf> g = Gguf::parse(b.span());
  EXPECT_LE(count.bytes(), 4096u);
  ASSERT_TRUE(g);
  const std::vector<std::string_view> read = g->find("tokenizer.ggml.tokens")->strings();
  EXPECT_TRUE(std::equal(read.begin(), read.end(), tokens.begin(), tokens.end()));
}

TEST(Reader, TypesAreOneTable) {
  uint32_t before = 0;
  for (const TypeInfo& t : all_types()) {
    EXPECT_TRUE(&t == all_types().data() || uint32_t(t.type) > before) << t.name;
    before = uint32_t(t.type);
    EXPECT_EQ(type_info(t.type), &t);
    EXPECT_EQ(type_by_name(t.name), &t);
    EXPECT_FALSE(type_removed(uint32_t(t.type)));
  }
  EXPECT_EQ(type_by_name("q4_k")->type, Type::q4_k);
  EXPECT_EQ(type_by_name("Q4_K_M"), nullptr);
  EXPECT_EQ(type_info(Type(4)), nullptr);
  EXPECT_EQ(type_info(Type(43)), nullptr);
}

TEST(Reader, TypesAgreeWithAnotherProgram) {
  const auto path = shared_data("quant/quant_index.json");
  if (!path) GTEST_SKIP() << "no reference data (LINNET_SHARED_DATA)";
  const Result<Json> index = parse_json(TempFolder::read(*path));
  ASSERT_TRUE(index) << index.error().message;
  int compared = 0;
  for (const Json& row : index->find("types")->elements()) {
    const TypeInfo* info = type_info(Type(*row.find("ggml_type")->integer()));
    ASSERT_NE(info, nullptr) << *row.find("name")->string();
    EXPECT_EQ(info, type_by_name(*row.find("name")->string()));
    EXPECT_EQ(info->block_values, *row.find("block")->integer()) << info->name;
    EXPECT_EQ(info->block_bytes, *row.find("block_bytes")->integer()) << info->name;
    ++compared;
  }
  std::printf("%d types compared\n", compared);
}

TEST(Reader, ReferenceModelsAreRead) {
  int files = 0;
  size_t tensors = 0;
  for (const char* folder : {"models", "vocab", "architectures"}) {
    const auto path = shared_data(folder);
    if (!path) GTEST_SKIP() << "no reference data (LINNET_SHARED_DATA)";
    for (const auto& entry : std::filesystem::directory_iterator(*path)) {
      if (entry.path().extension() != ".gguf") continue;
      const Result<Gguf> g = Gguf::open(entry.path().string(), {.check_values = true});
      ASSERT_TRUE(g) << g.error().message;
      exercise(*g);
      ++files;
      tensors += g->tensors().size();
    }
  }
  std::printf("%d files, %zu tensors\n", files, tensors);
}

}  // namespace
}  // namespace linnet

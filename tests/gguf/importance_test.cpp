#include "gguf/importance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gguf/reader.h"
#include "gguf/writer.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

TEST(Importance, IsWrittenAndRead) {
  const TempFolder folder;
  const std::string path = folder.path("imatrix.gguf");
  ImportanceMatrix made;
  const float one[] = {1, 2, 0, 3, 0, 0}, two[] = {5, 5, 5};
  made.add("a.weight", 1, 0, one, 2, 3);
  made.add("a.weight", 1, 0, two, 1, 3);
  made.add("experts.weight", 4, 2, one, 3, 2);
  made.add("zero.weight", 1, 0, one + 4, 1, 2);
  ASSERT_TRUE(made.write(path, "a text", 7, 512));

  const auto file = Gguf::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(*file->string("general.type"), "imatrix");
  EXPECT_EQ(*file->integer("imatrix.chunk_count"), 7u);
  EXPECT_EQ(*file->integer("imatrix.chunk_size"), 512u);
  ASSERT_NE(file->tensor("experts.weight.in_sum2"), nullptr);
  EXPECT_EQ(file->tensor("experts.weight.in_sum2")->dims[1], 4u);
  EXPECT_EQ(file->tensor("experts.weight.counts")->rows(), 4u);

  const auto read = ImportanceMatrix::read(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->size(), 3u);
  for (const ImportanceMatrix* m : {static_cast<const ImportanceMatrix*>(&made), &*read}) {
    const auto a = m->of("a.weight", 1, 0, 3);
    ASSERT_TRUE(a && a->has_value());
    // Sums 35, 29, 25 over their mean.
    EXPECT_FLOAT_EQ((**a)[0], 35 / (89 / 3.0f));
    EXPECT_FLOAT_EQ((**a)[1], 29 / (89 / 3.0f));
    EXPECT_FLOAT_EQ((**a)[2], 25 / (89 / 3.0f));
    const auto expert = m->of("experts.weight", 4, 2, 2);
    ASSERT_TRUE(expert && expert->has_value());
    EXPECT_FLOAT_EQ((**expert)[0], 2 * 1 / 14.0f);
    EXPECT_FLOAT_EQ((**expert)[1], 2 * 13 / 14.0f);
    EXPECT_FALSE(m->of("experts.weight", 4, 1, 2)->has_value()) << "no row chose it";
    EXPECT_FALSE(m->of("zero.weight", 1, 0, 2)->has_value());
    EXPECT_FALSE(m->of("other.weight", 1, 0, 2)->has_value());
    const auto wrong = m->of("a.weight", 1, 0, 4);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Code::gguf_tensor_shape);
    EXPECT_FALSE(m->of("experts.weight", 8, 0, 2));
  }
}

TEST(Importance, AColumnThatWasNeverSeenStillCounts) {
  ImportanceMatrix m;
  const float x[] = {1, 0};
  m.add("a", 1, 0, x, 1, 2);
  EXPECT_GT((**m.of("a", 1, 0, 2))[1], 0);
}

TEST(Importance, OtherFilesAreRefused) {
  const TempFolder folder;
  const std::string path = folder.path("bad.gguf");
  const auto message = [&](const char* type, std::vector<float> sums, int64_t counts, const char* name = "a.in_sum2") {
    auto out = Writer::create(path);
    if (type != nullptr) out->set("general.type", type);
    const uint64_t shape[] = {sums.size()};
    const uint64_t count_shape[] = {1, static_cast<uint64_t>(counts)};
    EXPECT_TRUE(out->declare(name, Type::f32, shape));
    if (counts > 0) { EXPECT_TRUE(out->declare("a.counts", Type::f32, count_shape)); }
    sums.resize(sums.size() + static_cast<size_t>(counts), 1);
    EXPECT_TRUE(out->write(std::as_bytes(std::span(sums))));
    EXPECT_TRUE(out->finish());
    const auto read = ImportanceMatrix::read(path);
    return read ? std::string() : read.error().message;
  };
  EXPECT_EQ(message("imatrix", {1, 2}, 1), "");
  EXPECT_NE(message("model", {1, 2}, 1).find("general.type is model"), std::string::npos);
  EXPECT_NE(message(nullptr, {1, 2}, 1).find("absent"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, 2}, 0).find("a.counts"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, 2}, 2).find("a.counts"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, -2}, 1).find("value 1 is -2"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, std::numeric_limits<float>::infinity()}, 1).find("inf"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, NAN}, 1).find("nan"), std::string::npos);
  EXPECT_NE(message("imatrix", {1, 2}, 1, "b.weight").find("in_sum2"), std::string::npos);
  EXPECT_FALSE(ImportanceMatrix::read(folder.path("none.gguf")));
}

}  // namespace
}  // namespace linnet

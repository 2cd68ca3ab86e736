// Split models: whole ones, and cases 87-93.
#include <gtest/gtest.h>

#include <functional>

#include "gguf/reader.h"
#include "gguf/shards.h"
#include "tests/gguf/counting_new.h"
#include "tests/gguf/exercise.h"
#include "tests/gguf/sample_model.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string part_name(int number, int count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05d-of-%05d.gguf", number, count);
  return name;
}

// Three parts with the value types that public tools give the split keys; the first has the model's keys.
std::vector<SampleModel> three_parts() {
  std::vector<SampleModel> parts(3);
  parts[0] = tiny_model();
  parts[1].tensors = {{"c.weight", Type::f16, {16, 2}}};
  parts[2].tensors = {{"d.weight", Type::q8_0, {32}}, {"e.weight", Type::f32, {3}}};
  for (uint16_t i = 0; i < 3; ++i) {
    parts[i].keys.push_back(sample_number<uint16_t>("split.no", ValueType::u16, i));
    parts[i].keys.push_back(sample_number<uint16_t>("split.count", ValueType::u16, 3));
    parts[i].keys.push_back(sample_number<int32_t>("split.tensors.count", ValueType::i32, 5));
  }
  return parts;
}

class Split : public ::testing::Test {
 protected:
  // Writes the three parts, `changed` with a field overwritten, and opens the first.
  Result<Gguf> open_with(int changed, std::string_view field, uint64_t value) {
    const std::vector<SampleModel> parts = three_parts();
    for (int i = 0; i < 3; ++i) {
      const SampleBytes b = parts[size_t(i)].encode();
      folder_.write(part_name(i + 1, 3), i == changed ? b.with(field, value) : b.bytes());
    }
    return Gguf::open(first());
  }
  void write(const std::vector<SampleModel>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      folder_.write(part_name(int(i) + 1, int(parts.size())), parts[i].encode().bytes());
    }
  }
  std::string first() const { return folder_.path(part_name(1, 3)); }
  static void expect(const Result<Gguf>& g, Code code, std::string_view mentions = "") {
    ASSERT_FALSE(g);
    EXPECT_EQ(code_name(g.error().code), code_name(code)) << g.error().message;
    EXPECT_NE(g.error().message.find(mentions), std::string::npos) << g.error().message;
  }
  TempFolder folder_;
};

TEST_F(Split, AllPartsAreOneModel) {
  write(three_parts());
  uint64_t bytes = 0;
  for (int i = 1; i <= 3; ++i) bytes += std::filesystem::file_size(folder_.path(part_name(i, 3)));
  const AllocationCount count;
  const Result<Gguf> g = Gguf::open(first(), {.check_values = true});
  EXPECT_LE(count.bytes(), 2 * bytes + (1 << 20));
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->shards(), 3u);
  EXPECT_EQ(g->file_bytes(), bytes);
  ASSERT_EQ(g->tensors().size(), 5u);
  EXPECT_EQ(g->tensors()[0].name, "a.weight");
  EXPECT_EQ(g->tensors()[4].name, "e.weight");
  EXPECT_EQ(g->tensor("d.weight")->shard, 2u);
  EXPECT_EQ(*g->integer("sample.block_count"), 2u);
  EXPECT_TRUE(g->unchanged());
  exercise(*g);
  std::filesystem::remove(folder_.path(part_name(2, 3)));
  EXPECT_FALSE(g->unchanged());
}

TEST_F(Split, NamesAreParsed) {
  const auto name = parse_shard_name("/a/b-00002-of-00007.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "/a/b");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 7u);
  EXPECT_EQ(shard_path(*name, 3), "/a/b-00003-of-00007.gguf");
  for (const char* other : {"model.gguf", "-00001-of-00002.gguf", "b-0001-of-00002.gguf", "b-00001-of-00002.ggu",
                            "b-+0001-of-00002.gguf", "b-00001-of-0000x.gguf", "b_00001-of-00002.gguf"}) {
    EXPECT_FALSE(parse_shard_name(other)) << other;
  }
}

TEST_F(Split, MergedFilesAreWhole) {
  SampleModel m = tiny_model();
  m.keys.push_back(sample_number<uint16_t>("split.count", ValueType::u16, 0));
  m.keys.push_back(sample_number<int32_t>("split.tensors.count", ValueType::i32, 2));
  const Result<Gguf> g = Gguf::open(folder_.write("merged.gguf", m.encode().bytes()));
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_TRUE(Gguf::open(folder_.write("m-00001-of-00001.gguf", m.encode().bytes())));
}

TEST_F(Split, OtherPartsAndOtherNamesAreExplained) {
  write(three_parts());
  expect(Gguf::open(folder_.path(part_name(2, 3))), Code::gguf_split_number, part_name(1, 3));
  const std::string part = three_parts()[0].encode().bytes();
  expect(Gguf::open(folder_.write("renamed.gguf", part)), Code::gguf_split_path, "-00001-of-00003.gguf");
  expect(Gguf::parse(std::as_bytes(std::span(part))), Code::gguf_split_missing, "part 1 of 3");
}

TEST_F(Split, Case87_PartMissing) {
  write(three_parts());
  std::filesystem::remove(folder_.path(part_name(3, 3)));
  expect(Gguf::open(first()), Code::gguf_split_missing, part_name(3, 3));
}

TEST_F(Split, Case88_NumberWrong) {
  expect(open_with(1, "split.no value", 2), Code::gguf_split_number, part_name(2, 3));
  expect(open_with(2, "split.no value", 0), Code::gguf_split_number, part_name(3, 3));
  expect(open_with(0, "split.no value", 1), Code::gguf_split_number, part_name(1, 3));
  expect(open_with(2, "split.no value", 65535), Code::gguf_split_number, "65535");
  write(three_parts());
  std::filesystem::copy_file(folder_.path(part_name(2, 3)), folder_.path(part_name(3, 3)),
                             std::filesystem::copy_options::overwrite_existing);  // the same part twice
  expect(Gguf::open(first()), Code::gguf_split_number);
}

TEST_F(Split, Case89_CountWrong) {
  expect(open_with(0, "split.count value", 0), Code::gguf_split_count, "split.count is 0");
  expect(open_with(0, "split.count value", 65535), Code::gguf_split_count, "65535");
  expect(open_with(1, "split.count value", 4), Code::gguf_split_count, part_name(2, 3));
  const std::string part = three_parts()[0].encode().with("split.count value", 65535);
  expect(Gguf::open(folder_.write("m-00001-of-65535.gguf", part)), Code::gguf_split_count, "1024");
  expect(Gguf::open(folder_.write("m-00001-of-00000.gguf", part)), Code::gguf_split_count, "says 0 parts");
  SampleModel plain = tiny_model();
  expect(Gguf::open(folder_.write("plain-00001-of-00002.gguf", plain.encode().bytes())), Code::gguf_split_count);
}

TEST_F(Split, Case90_TensorCountWrong) {
  const auto open_all_with = [&](int32_t tensors) {
    std::vector<SampleModel> parts = three_parts();
    for (SampleModel& m : parts) {
      m.keys.back() = sample_number<int32_t>("split.tensors.count", ValueType::i32, tensors);
    }
    write(parts);
    return Gguf::open(first());
  };
  expect(open_all_with(4), Code::gguf_split_tensor_count, part_name(3, 3));
  expect(open_all_with(6), Code::gguf_split_tensor_count, "have 5 tensors");
  expect(open_all_with(0), Code::gguf_split_tensor_count);
  expect(open_all_with(2000000000), Code::gguf_tensor_count, "2000000000");
  expect(open_all_with(-1), Code::gguf_value_range, "'split.tensors.count'");
  std::vector<SampleModel> parts = three_parts();
  for (SampleModel& m : parts) m.keys.pop_back();
  write(parts);
  expect(Gguf::open(first()), Code::gguf_split_tensor_count, "needs the key");
}

TEST_F(Split, Case91_PartsOfTwoModels) {
  expect(open_with(2, "split.tensors.count value", 7), Code::gguf_split_mixed, part_name(3, 3));
  std::vector<SampleModel> parts = three_parts();
  parts[1].keys.push_back(sample_string("general.architecture", "another"));
  write(parts);
  expect(Gguf::open(first()), Code::gguf_split_mixed, "'general.architecture'");
  parts[1].keys.back() = sample_string("general.architecture", "sample");
  write(parts);
  EXPECT_TRUE(Gguf::open(first()));
}

TEST_F(Split, Case92_PartsOutsideTheDirectory) {
  write(three_parts());
  const TempFolder elsewhere;
  const std::string target = elsewhere.write("part.gguf", three_parts()[1].encode().bytes());
  std::filesystem::remove(folder_.path(part_name(2, 3)));
  std::filesystem::create_symlink(target, folder_.path(part_name(2, 3)));
  expect(Gguf::open(first()), Code::gguf_split_path, part_name(2, 3));
  std::filesystem::remove(folder_.path(part_name(2, 3)));
  std::filesystem::create_symlink("/proc/self/fd/0", folder_.path(part_name(2, 3)));
  expect(Gguf::open(first()), Code::gguf_split_path);
  std::filesystem::remove(folder_.path(part_name(2, 3)));
  std::filesystem::create_directory(folder_.path(part_name(2, 3)));
  expect(Gguf::open(first()), Code::io_not_regular);
}

TEST_F(Split, Case93_TensorInTwoParts) {
  std::vector<SampleModel> parts = three_parts();
  parts[2].tensors[0].name = "b.weight";
  write(parts);
  expect(Gguf::open(first()), Code::gguf_split_duplicate, "'b.weight' is in part 1 and in part 3");
}

TEST_F(Split, EveryFieldOfEveryPartTimesEverySuspiciousValue) {
  const std::vector<SampleModel> parts = three_parts();
  write(parts);
  int refused = 0, read = 0, at = 0;
  const int step = 100 / test_count(100);
  for (int part = 0; part < 3; ++part) {
    const SampleBytes good = parts[size_t(part)].encode();
    for (const SampleField& f : good.fields()) {
      for (const uint64_t value : {uint64_t(0), uint64_t(1), uint64_t(2), uint64_t(3), ~uint64_t(0), ~uint64_t(0) >> 1,
                                   uint64_t(1) << 63, uint64_t(good.bytes().size())}) {
        if (++at % step != 0) continue;
        folder_.write(part_name(part + 1, 3), good.with(f.what, value));
        const AllocationCount count;
        const Result<Gguf> g = Gguf::open(first());
        ASSERT_LE(count.bytes(), (2 << 12) + (1 << 20)) << f.what << " = " << value;
        if (g) exercise(*g);
        ++(g ? read : refused);
      }
    }
    folder_.write(part_name(part + 1, 3), good.bytes());
  }
  EXPECT_TRUE(Gguf::open(first()));
  std::printf("%d damaged parts: %d refused, %d read\n", refused + read, refused, read);
}

}  // namespace
}  // namespace linnet

// Damaged data and strange files: cases 94-98.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <limits>

#include "gguf/base/half.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "tests/gguf/sample_model.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

// Where each type keeps the numbers that scale a block, written down again from the block layouts.
struct Scale {
  Type type;
  size_t offset;
  std::string bad;  // bytes of a NaN or an infinity there
};

std::vector<Scale> all_scales() {
  const std::string half_inf("\x00\x7c", 2), half_nan("\x01\xfe", 2), bf16_inf("\x80\xff", 2);
  const std::string f32_nan("\x00\x00\xc0\x7f", 4), f64_inf("\0\0\0\0\0\0\xf0\x7f", 8);
  std::vector<Scale> scales = {
      {Type::f32, 0, f32_nan},
      {Type::f64, 0, f64_inf},
      {Type::f16, 0, half_inf},
      {Type::f16, 0, half_nan},
      {Type::bf16, 0, bf16_inf},
      {Type::q8_k, 0, f32_nan},
      {Type::q2_k, 80, half_inf},
      {Type::q2_k, 82, half_nan},
      {Type::q3_k, 108, half_inf},
      {Type::q6_k, 208, half_inf},
      {Type::tq1_0, 52, half_inf},
      {Type::tq2_0, 64, half_inf},
      {Type::mxfp4, 0, "\xff"},
      {Type::mxfp4, 0, "\xfd"},
      {Type::nvfp4, 0, "\x7f"},
      {Type::nvfp4, 3, "\x7f"},
      // The half 0x7c00 in the top nibbles of four words: 0, 0, c, 7.
      {Type::iq1_m, 48, std::string("\x00\x00\x00\x00\x00\xc0\x00\x70", 8)},
  };
  for (const Type type : {Type::q4_0, Type::q5_0, Type::q8_0, Type::iq2_xxs, Type::iq2_xs, Type::iq2_s, Type::iq3_xxs,
                          Type::iq3_s, Type::iq1_s, Type::iq4_nl, Type::iq4_xs, Type::q1_0, Type::q2_0}) {
    scales.push_back({type, 0, half_inf});
  }
  for (const Type type : {Type::q4_1, Type::q5_1, Type::q8_1, Type::q4_k, Type::q5_k}) {
    scales.push_back({type, 0, half_nan});
    scales.push_back({type, 2, half_inf});
  }
  return scales;
}

TEST(Data, Case94_NanAndInfiniteScalesAreFound) {
  int found = 0;
  for (const Scale& scale : all_scales()) {
    const TypeInfo& info = *type_info(scale.type);
    for (const uint64_t block : {0, 7, 2049}) {
      SampleModel m;
      m.tensors = {{"bad", scale.type, {uint64_t(info.block_values) * 2050}}};
      std::string& data = m.tensors[0].data = std::string(size_t(info.block_bytes) * 2050, '\0');
      data.replace(size_t(info.block_bytes) * block + scale.offset, scale.bad.size(), scale.bad);
      const SampleBytes b = m.encode();
      EXPECT_TRUE(Gguf::parse(b.span()));
      const Result<Gguf> g = Gguf::parse(b.span(), {.check_values = true});
      ASSERT_FALSE(g) << info.name << " block " << block;
      EXPECT_EQ(g.error().code, Code::gguf_value_check);
      const std::string wanted = "tensor 'bad' of type " + std::string(info.name) + ": block " + std::to_string(block);
      EXPECT_NE(g.error().message.find(wanted), std::string::npos) << g.error().message;
      ++found;
    }
  }
  std::printf("%d bad blocks found\n", found);
}

// Only the scales are looked at: any bytes elsewhere are values.
TEST(Data, Case94_OtherBytesMayBeAnything) {
  for (const TypeInfo& info : all_types()) {
    std::string block(size_t(info.block_bytes), '\xff');
    for (const Scale& scale : all_scales()) {
      if (scale.type == info.type) block.replace(scale.offset, scale.bad.size(), std::string(scale.bad.size(), '\0'));
    }
    if (info.type == Type::nvfp4) block.replace(0, 4, std::string(4, '\0'));
    SampleModel m;
    m.tensors = {{"t", info.type, {uint64_t(info.block_values)}, {}, block}};
    const SampleBytes b = m.encode();
    const Result<Gguf> g = Gguf::parse(b.span(), {.check_values = true});
    EXPECT_TRUE(g) << g.error().message;
  }
}

TEST(Data, Case95_ZeroWeightsAreRead) {
  const SampleBytes b = tiny_model().encode();
  EXPECT_TRUE(Gguf::parse(b.span(), {.check_values = true}));
}

TEST(Data, Case96_RandomBytes) {
  Random random(96);
  for (int i = 0; i < test_count(1000); ++i) {
    std::string noise(size_t(1 + random.below(5000)), '\0');
    for (char& c : noise) c = char(random.next());
    const Result<Gguf> g = Gguf::parse(std::as_bytes(std::span(noise)));
    ASSERT_FALSE(g);
    EXPECT_TRUE(g.error().code == Code::gguf_magic || noise.size() < 4);
  }
  SampleModel m = tiny_model();
  for (SampleTensor& t : m.tensors) {
    t.data.resize(32);
    for (char& c : t.data) c = char(random.next());
  }
  const SampleBytes b = m.encode();
  EXPECT_TRUE(Gguf::parse(b.span()));
}

TEST(Data, Case97_ChangesOfAnOpenFileAreSeen) {
  const TempFolder folder;
  const std::string bytes = tiny_model().encode().bytes();
  const std::string path = folder.write("model.gguf", bytes);
  const auto code = [](const Gguf& g) {
    const Status status = g.unchanged();
    return status ? Code::ok : status.error().code;
  };
  {
    const Result<Gguf> g = Gguf::open(path);
    ASSERT_TRUE(g) << g.error().message;
    EXPECT_EQ(code(*g), Code::ok);
    ASSERT_EQ(::truncate(path.c_str(), off_t(bytes.size() - 1)), 0);
    EXPECT_EQ(code(*g), Code::io_changed);
    EXPECT_NE(g->unchanged().error().message.find(path), std::string::npos);
  }
  folder.write("model.gguf", bytes);
  {
    const Result<Gguf> g = Gguf::open(path);
    ASSERT_TRUE(g);
    std::filesystem::rename(folder.write("other.gguf", bytes), path);  // same size, another inode
    EXPECT_EQ(code(*g), Code::io_changed);
  }
  {
    const Result<Gguf> g = Gguf::open(path);
    ASSERT_TRUE(g);
    const timespec times[2] = {{1, 0}, {1, 0}};  // touched
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    EXPECT_EQ(code(*g), Code::io_changed);
  }
  const Result<Gguf> g = Gguf::open(path);
  ASSERT_TRUE(g);
  std::filesystem::remove(path);
  EXPECT_EQ(code(*g), Code::io_changed);
}

class StrangeFile : public ::testing::Test {
 protected:
  static Code open(const std::string& path) {
    const Result<Gguf> g = Gguf::open(path);
    if (g) return Code::ok;
    EXPECT_NE(g.error().message.find(path), std::string::npos) << g.error().message;
    return g.error().code;
  }
  TempFolder folder_;
};

TEST_F(StrangeFile, Case98_Missing) {
  EXPECT_EQ(open(folder_.path("none.gguf")), Code::io_not_found);
  const std::string file = folder_.write("file", "text");
  EXPECT_EQ(open(file + "/none.gguf"), Code::io_not_found);
}

TEST_F(StrangeFile, Case98_Directory) { EXPECT_EQ(open(folder_.path("")), Code::io_not_regular); }

TEST_F(StrangeFile, Case98_Fifo) {
  const std::string path = folder_.path("fifo.gguf");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(open(path), Code::io_not_regular);  // and without waiting for a writer
}

TEST_F(StrangeFile, Case98_Device) {
  EXPECT_EQ(open("/dev/zero"), Code::io_not_regular);
  EXPECT_EQ(open("/dev/null"), Code::io_not_regular);
}

TEST_F(StrangeFile, Case98_Unreadable) {
  const std::string path = folder_.write("secret.gguf", tiny_model().encode().bytes());
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  // Root reads everything: be somebody else for a moment.
  const bool root = ::geteuid() == 0;
  if (root) {
    std::filesystem::permissions(folder_.path("."), std::filesystem::perms::all);
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const Code code = open(path);
  if (root) { ASSERT_EQ(::seteuid(0), 0); }
  EXPECT_EQ(code, Code::io_permission);
}

TEST_F(StrangeFile, Case98_SparseFilesAreMappedNotRead) {
  SampleModel m;
  m.tensors = {{"sparse", Type::f32, {1024}}};
  const SampleBytes b = m.encode();
  std::string bytes = b.with("sparse dim 0", uint64_t(1) << 30);  // 4 GiB of data, all of it a hole
  bytes.resize(bytes.size() - 4096);
  const uint64_t size = bytes.size() + (uint64_t(4) << 30);
  const std::string path = folder_.write("sparse.gguf", bytes);
  ASSERT_EQ(::truncate(path.c_str(), off_t(size)), 0);
  const Result<Gguf> g = Gguf::open(path);
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->file_bytes(), size);
  EXPECT_EQ(g->tensor("sparse")->data[(uint64_t(4) << 30) - 1], std::byte(0));
}

TEST_F(StrangeFile, Case98_TheLargestFileTheSystemAllows) {
  const std::string path = folder_.write("large.gguf", "");
  for (int bits = 62; bits > 32; --bits) {
    if (::truncate(path.c_str(), off_t(1) << bits) != 0) continue;
    const Code code = open(path);
    EXPECT_TRUE(code == Code::gguf_magic || code == Code::io_map) << code_name(code);
    std::printf("2^%d bytes: %s\n", bits, std::string(code_name(code)).c_str());
    return;
  }
  GTEST_SKIP() << "this file system has no large sparse files";
}

}  // namespace
}  // namespace linnet

#include "gguf/writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "gguf/base/hash.h"
#include "tests/gguf/sample_model.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr uint64_t kRows[] = {64, 3};
constexpr uint64_t kOdd[] = {5};

std::string noise(size_t bytes, uint64_t seed) {
  Random random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = char(random.next() & 0x3f);  // no half with an exponent of all ones
  return text;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// Every kind of key, two tensors, the data in pieces of `piece` bytes.
Status write_file(const std::string& path, uint64_t alignment, size_t piece) {
  LINNET_TRY(Writer w, Writer::create(path, alignment));
  w.set("u32", uint32_t(7));
  w.set("u64", uint64_t(1) << 40);
  w.set("i32", int32_t(-7));
  w.set("f32", 0.25f);
  w.set("bool", true);
  w.set("string", "text");
  const std::vector<std::string> strings = {"a", "", "ccc"};
  const std::vector<std::string_view> views = {"x", "yy"};
  w.set("strings", std::span<const std::string>(strings));
  w.set("views", std::span<const std::string_view>(views));
  w.set("floats", std::span<const float>(std::vector<float>{1.5f, -2.5f}));
  w.set("i32s", std::span<const int32_t>(std::vector<int32_t>{-1, 1}));
  w.set("u32s", std::span<const uint32_t>(std::vector<uint32_t>{9}));
  w.set("u32", uint32_t(8));  // replaces
  LINNET_CHECK(w.declare("rows", Type::q4_0, kRows));
  LINNET_CHECK(w.declare("odd", Type::f32, kOdd));
  const std::string data = noise(108, 1) + noise(20, 2);
  for (size_t at = 0; at < data.size(); at += piece) {
    LINNET_CHECK(w.write(bytes_of(data).subspan(at, std::min(piece, data.size() - at))));
  }
  return w.finish();
}

TEST(Writer, WhatIsWrittenIsRead) {
  const TempFolder folder;
  for (const uint64_t alignment : {8, 32, 256, 4096}) {
    const std::string path = folder.path("w.gguf");
    ASSERT_TRUE(write_file(path, alignment, 1000));
    const Result<Gguf> g = Gguf::open(path, {.check_values = true, .check_checksums = true});
    ASSERT_TRUE(g) << g.error().message;
    EXPECT_EQ(g->version(), 3u);
    EXPECT_EQ(g->alignment(), alignment);
    EXPECT_EQ(*g->integer("u32"), 8u);
    EXPECT_EQ(*g->integer("u64"), uint64_t(1) << 40);
    EXPECT_EQ(g->find("i32")->integer(), -7);
    EXPECT_EQ(*g->number("f32"), 0.25);
    EXPECT_TRUE(*g->boolean("bool"));
    EXPECT_EQ(*g->string("string"), "text");
    EXPECT_EQ(g->find("strings")->strings(), (std::vector<std::string_view>{"a", "", "ccc"}));
    EXPECT_EQ(g->find("views")->strings(), (std::vector<std::string_view>{"x", "yy"}));
    EXPECT_EQ(g->find("floats")->number(1), -2.5);
    EXPECT_EQ(g->find("i32s")->integer(0), -1);
    EXPECT_EQ(g->find("u32s")->integer(0), 9);
    ASSERT_EQ(g->tensors().size(), 2u);
    const Tensor &rows = g->tensors()[0], &odd = g->tensors()[1];
    EXPECT_EQ(rows.dims, (std::array<uint64_t, 4>{64, 3, 1, 1}));
    EXPECT_EQ(std::memcmp(rows.data, noise(108, 1).data(), 108), 0);
    EXPECT_EQ(std::memcmp(odd.data, noise(20, 2).data(), 20), 0);
    EXPECT_EQ(rows.offset % alignment, 0u);
    EXPECT_EQ(odd.offset % alignment, 0u);
    EXPECT_EQ(g->file_bytes() % alignment, 0u);
    EXPECT_EQ(*g->stored_checksum(rows), Gguf::checksum(rows));
    EXPECT_EQ(*g->stored_checksum(odd), xxh64(bytes_of(noise(20, 2))));
  }
}

TEST(Writer, EqualCallsGiveEqualBytes) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(folder.path("a"), 32, 1000));
  const std::string whole = TempFolder::read(folder.path("a"));
  for (const size_t piece : {1, 7, 36, 108, 128}) {
    ASSERT_TRUE(write_file(folder.path("b"), 32, piece));
    EXPECT_EQ(TempFolder::read(folder.path("b")), whole) << piece;
  }
}

TEST(Writer, CopiesEveryKindOfValue) {
  const TempFolder folder;
  for (const SampleModel& m : good_models()) {
    const SampleBytes b = m.encode();
    const Result<Gguf> from = Gguf::parse(b.span());
    ASSERT_TRUE(from);
    {
      Result<Writer> w = Writer::create(folder.path("copy.gguf"), from->alignment());
      ASSERT_TRUE(w);
      for (const Value& v : from->values()) w->copy(v);
      for (const Tensor& t : from->tensors()) {
        ASSERT_TRUE(w->declare(t.name, t.type, std::span(t.dims).first(t.n_dims)));
      }
      for (const Tensor& t : from->tensors()) ASSERT_TRUE(w->write({t.data, size_t(t.bytes)}));
      const Status done = w->finish();
      ASSERT_TRUE(done) << done.error().message;
    }
    const Result<Gguf> to = Gguf::open(folder.path("copy.gguf"), {.check_checksums = true});
    ASSERT_TRUE(to) << to.error().message;
    for (const Value& v : from->values()) {
      const Value* copied = to->find(v.key);
      ASSERT_NE(copied, nullptr) << v.key;
      EXPECT_EQ(copied->type, v.type);
      EXPECT_EQ(copied->element, v.element);
      EXPECT_EQ(copied->count, v.count);
      ASSERT_EQ(copied->bytes, v.bytes);
      EXPECT_EQ(std::memcmp(copied->data, v.data, v.bytes), 0) << v.key;
    }
    EXPECT_EQ(to->tensors().size(), from->tensors().size());
  }
}

TEST(Writer, OneChangedBitIsFoundByTheChecksum) {
  const TempFolder folder;
  const std::string path = folder.path("w.gguf");
  ASSERT_TRUE(write_file(path, 32, 1000));
  const std::string good = TempFolder::read(path);
  const Result<Gguf> g = Gguf::open(path);
  ASSERT_TRUE(g);
  int found = 0;
  for (const Tensor& t : g->tensors()) {
    for (uint64_t byte = 0; byte < t.bytes; ++byte) {
      std::string bad = good;
      bad[t.offset + byte] = char(bad[t.offset + byte] ^ (1 << byte % 8));
      EXPECT_TRUE(Gguf::parse(bytes_of(bad)));
      const Result<Gguf> checked = Gguf::parse(bytes_of(bad), {.check_checksums = true});
      ASSERT_FALSE(checked);
      EXPECT_EQ(checked.error().code, Code::gguf_checksum);
      EXPECT_NE(checked.error().message.find(t.name), std::string::npos);
      ++found;
    }
  }
  std::printf("%d changed bits found\n", found);
}

TEST(Writer, ChecksumsOfAnotherShapeAreRefusedWhenAsked) {
  SampleModel m = tiny_model();
  m.keys.push_back(sample_array<uint64_t>(std::string(kChecksumKey), ValueType::u64, {1}));
  const SampleBytes b = m.encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g);
  EXPECT_EQ(g->stored_checksum(g->tensors()[0]), std::nullopt);
  const Result<Gguf> checked = Gguf::parse(b.span(), {.check_checksums = true});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::gguf_checksum);
}

TEST(Writer, AppearsOnlyWhenFinished) {
  const TempFolder folder;
  const std::string path = folder.write("w.gguf", "what was there");
  {
    Result<Writer> w = Writer::create(path);
    ASSERT_TRUE(w);
    ASSERT_TRUE(w->declare("rows", Type::q4_0, kRows));
    ASSERT_TRUE(w->write(bytes_of(noise(36, 1))));
    EXPECT_EQ(folder.entries(), 2u);
    EXPECT_EQ(TempFolder::read(path), "what was there");
    Writer moved = *std::move(w);
    const Status status = moved.finish();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::invalid_argument);
    EXPECT_NE(status.error().message.find("'rows' has 36 of its 108 bytes"), std::string::npos);
  }
  EXPECT_EQ(TempFolder::read(path), "what was there");
  EXPECT_EQ(folder.entries(), 1u);
  ASSERT_TRUE(write_file(path, 32, 10));
  EXPECT_EQ(folder.entries(), 1u);
  EXPECT_TRUE(Gguf::open(path));
}

TEST(Writer, MistakesAreErrors) {
  const TempFolder folder;
  const auto code = [](const Status& s) { return s ? Code::ok : s.error().code; };
  Result<Writer> w = Writer::create(folder.path("w.gguf"));
  ASSERT_TRUE(w);
  const std::vector<std::vector<uint64_t>> bad = {{}, {1, 1, 1, 1, 1}, {0}, {33}, {uint64_t(1) << 63}};
  EXPECT_EQ(code(w->declare("t", Type::q4_0, bad[0])), Code::gguf_dims_count);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, bad[1])), Code::gguf_dims_count);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, bad[2])), Code::gguf_dim_zero);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, bad[3])), Code::gguf_row_multiple);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, bad[4])), Code::gguf_dim_negative);
  EXPECT_EQ(code(w->declare("", Type::q4_0, kRows)), Code::gguf_tensor_name);
  EXPECT_EQ(code(w->declare(std::string(64, 'n'), Type::q4_0, kRows)), Code::gguf_tensor_name);
  EXPECT_EQ(code(w->declare("t", Type(99), kRows)), Code::gguf_tensor_type);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, kRows)), Code::ok);
  EXPECT_EQ(code(w->declare("t", Type::q4_0, kRows)), Code::gguf_tensor_duplicate);
  EXPECT_EQ(code(w->write(bytes_of(noise(109, 1)))), Code::invalid_argument);  // one byte too many
  EXPECT_EQ(code(w->write(bytes_of(noise(1, 1)))), Code::invalid_argument);    // and so it stays
  EXPECT_EQ(code(w->finish()), Code::invalid_argument);

  for (const char* key : {"", "bad\xff", "general.alignment", "linnet.checksums.xxh64"}) {
    Result<Writer> v = Writer::create(folder.path("v.gguf"));
    ASSERT_TRUE(v);
    v->set(key, uint32_t(1));
    EXPECT_NE(code(v->finish()), Code::ok) << key;
  }
  Result<Writer> late = Writer::create(folder.path("late.gguf"));
  ASSERT_TRUE(late);
  EXPECT_EQ(code(late->finish()), Code::ok);
  EXPECT_EQ(code(late->finish()), Code::invalid_argument);
  EXPECT_EQ(code(late->write({})), Code::invalid_argument);

  EXPECT_EQ(Writer::create(folder.path("w.gguf"), 48).error().code, Code::gguf_alignment_power);
  EXPECT_EQ(Writer::create(folder.path("w.gguf"), 0).error().code, Code::gguf_alignment_zero);
  EXPECT_EQ(Writer::create(folder.path("none/w.gguf")).error().code, Code::io_not_found);
  EXPECT_EQ(Writer::create(folder.path("")).error().code, Code::io_write);
  EXPECT_EQ(folder.entries(), 2u);  // the temporary of w, and late.gguf
}

TEST(Writer, AFullDiskIsAnError) {
  const TempFolder folder;
  // A limit on file size fails a write as a full disk does (with another reason).
  rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {8192, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Code code = Code::ok;
  {
    Result<Writer> w = Writer::create(folder.path("w.gguf"));
    const uint64_t dims[] = {4096, 8};
    const std::string data(4096, '\0');
    Status status = w ? w->declare("t", Type::i8, dims) : w.error();
    for (int i = 0; i < 8 && status; ++i) status = w->write(bytes_of(data));
    if (!status) code = status.error().code;
    if (w && w->finish()) code = Code::ok;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(code, Code::io_write);
  EXPECT_EQ(folder.entries(), 0u);
}

}  // namespace
}  // namespace linnet

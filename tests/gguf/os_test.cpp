// The operating system, the hash and the log sink.
#include "gguf/base/os.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "gguf/base/hash.h"
#include "gguf/base/log.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

TEST(Os, MachineIsPlausible) {
  EXPECT_GE(os::usable_cpus(), 1);
  EXPECT_LE(os::usable_cpus(), int(std::thread::hardware_concurrency()));
  EXPECT_GE(os::physical_cores(), 1);
  EXPECT_LE(os::physical_cores(), int(std::thread::hardware_concurrency()));
  EXPECT_GE(os::page_bytes(), 4096u);
  EXPECT_EQ(os::page_bytes() & (os::page_bytes() - 1), 0u);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  EXPECT_FALSE(os::is_terminal(pipe[0]));
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(Os, MemoryIsCounted) {
  const Result<os::MemoryUse> before = os::memory_use();
  ASSERT_TRUE(before) << before.error().message;
  constexpr size_t bytes = 64 << 20;
  std::vector<char> memory(bytes, 1);
  const Result<os::MemoryUse> after = os::memory_use();
  ASSERT_TRUE(after);
  EXPECT_GE(after->anonymous, before->anonymous + bytes / 2);
  EXPECT_GE(after->resident, after->anonymous);
  EXPECT_GE(after->peak, after->resident / 2);
  EXPECT_EQ(memory[bytes / 2], 1);
}

TEST(Os, MappedFilesAreNoAnonymousMemory) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the sanitizer keeps shadow memory for what is read";
#endif
  const TempFolder folder;
  constexpr size_t bytes = 32 << 20;
  const Result<os::Mapping> mapping = os::Mapping::open(folder.write("f", std::string(bytes, 'x')));
  ASSERT_TRUE(mapping) << mapping.error().message;
  const Result<os::MemoryUse> before = os::memory_use();
  size_t sum = 0;
  for (const std::byte b : mapping->bytes()) sum += size_t(b);
  EXPECT_EQ(sum, bytes * 'x');
  const Result<os::MemoryUse> after = os::memory_use();
  ASSERT_TRUE(before && after);
  EXPECT_LT(after->anonymous, before->anonymous + bytes / 2);
}

TEST(Os, MappingsStayBeneathTheirDirectory) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path("in"));
  folder.write("out", "outside");
  folder.write("in/file", "inside");
  std::filesystem::create_symlink("file", folder.path("in/link"));
  std::filesystem::create_symlink("../out", folder.path("in/escape"));
  std::filesystem::create_symlink(folder.path("out"), folder.path("in/absolute"));
  const auto open = [&](const char* name) {
    const Result<os::Mapping> m = os::Mapping::open_beneath(folder.path("in"), name);
    return m ? Code::ok : m.error().code;
  };
  EXPECT_EQ(open("file"), Code::ok);
  const Code link = open("link");  // refused too where openat2 is missing
  EXPECT_TRUE(link == Code::ok || link == Code::gguf_split_path);
  EXPECT_EQ(open("escape"), Code::gguf_split_path);
  EXPECT_EQ(open("absolute"), Code::gguf_split_path);
  EXPECT_EQ(open("../out"), Code::gguf_split_path);
  EXPECT_EQ(open("none"), Code::io_not_found);
  EXPECT_EQ(os::Mapping::open_beneath(folder.path("none"), "file").error().code, Code::io_not_found);
}

TEST(Os, NewFilesAppearWhole) {
  const TempFolder folder;
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  {
    Result<os::NewFile> file = os::NewFile::create(folder.path("f"));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->append(bytes("hello ")));
    ASSERT_TRUE(file->append(bytes("world")));
    ASSERT_TRUE(file->overwrite(0, bytes("J")));
    EXPECT_FALSE(std::filesystem::exists(folder.path("f")));
    Result<os::NewFile> second = os::NewFile::create(folder.path("f"));  // two writers do not meet
    ASSERT_TRUE(second);
    ASSERT_TRUE(file->commit());
    EXPECT_EQ(TempFolder::read(folder.path("f")), "Jello world");
    EXPECT_EQ(folder.entries(), 2u);
  }
  EXPECT_EQ(folder.entries(), 1u);
  // What is there and no regular file stays: a device would be replaced by the rename.
  std::filesystem::create_directories(folder.path("directory"));
  EXPECT_EQ(os::NewFile::create(folder.path("directory")).error().code, Code::io_not_regular);
  EXPECT_EQ(os::NewFile::create("/dev/null").error().code, Code::io_not_regular);
  EXPECT_EQ(folder.entries(), 2u);
  std::filesystem::remove(folder.path("directory"));
  // A directory of that name that comes later: the rename fails, and nothing is left behind.
  Result<os::NewFile> file = os::NewFile::create(folder.path("d"));
  ASSERT_TRUE(file);
  std::filesystem::create_directories(folder.path("d/full"));
  const Status status = file->commit();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::io_write);
  EXPECT_EQ(folder.entries(), 2u);
}

// Published test vectors of XXH64, and pieces against the whole.
TEST(Hash, Xxh64) {
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  EXPECT_EQ(xxh64({}), 0xef46db3751d8e999u);
  EXPECT_EQ(xxh64(bytes("a")), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(xxh64(bytes("abc")), 0x44bc2cf5ad770999u);
  Random random(1);
  std::string text(5000, '\0');
  for (char& c : text) c = char(random.next());
  for (const size_t piece : {1, 31, 32, 33, 1000}) {
    Xxh64 sum(42);
    for (size_t at = 0; at < text.size(); at += piece) sum.update(bytes(std::string_view(text).substr(at, piece)));
    EXPECT_EQ(sum.digest(), xxh64(bytes(text), 42)) << piece;
  }
}

TEST(Log, GoesWhereItsSinkSays) {
  std::string lines;
  LogSink sink;
  sink.log(LogLevel::error, "none", "nowhere");
  sink.context = &lines;
  sink.write = [](void* context, const LogRecord& r) {
    auto& out = *static_cast<std::string*>(context);
    out += fmt::format("{} {}: {}", log_level_name(r.level), r.tag, r.message);
    for (const LogField& field : r.fields)
      out += fmt::format(" {}={}{}", field.name, field.value, field.text ? "'" : "");
    out += "\n";
  };
  sink.log(LogLevel::debug, "gguf", "unheard {}", 1);
  sink.log(LogLevel::warning, "gguf", "heard {}", 2);
  sink.event(LogLevel::info, "MEM", "fields", {{"bytes", 7}, {"name", "x"}, {"share", 0.5}, {"good", true}});
  sink.least = LogLevel::off;
  sink.log(LogLevel::error, "gguf", "unheard");
  EXPECT_EQ(lines, "warning gguf: heard 2\ninfo MEM: fields bytes=7 name=x' share=0.500 good=true\n");
}

}  // namespace
}  // namespace linnet

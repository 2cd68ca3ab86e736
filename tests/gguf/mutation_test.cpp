// Every length, count, offset, type and number of six good files, set to every suspicious value: the reader must refuse
// or read each file without crashing, hanging or allocating beyond its bound.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/gguf/counting_new.h"
#include "tests/gguf/exercise.h"
#include "tests/gguf/sample_model.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::set<uint64_t> suspicious(uint64_t original, size_t bytes, uint64_t file_size) {
  const uint64_t max = bytes == 8 ? ~uint64_t(0) : (uint64_t(1) << (8 * bytes)) - 1;
  std::set<uint64_t> values;
  for (const uint64_t v : {uint64_t(0), uint64_t(1), max - 1, max, max / 2, max / 2 + 1, original + 1, original - 1,
                           original * 2, file_size, file_size + 1, file_size - 1}) {
    values.insert(v & max);
  }
  values.erase(original);
  return values;
}

struct Tally {
  int refused = 0, read = 0;
  std::set<Code> codes;
};

void try_bytes(const std::string& bytes, const std::string& what, Tally& tally) {
  // On the heap and of the exact size, so that a sanitizer sees any read beyond the end.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const AllocationCount count;
  const Result<Gguf> g = Gguf::parse(std::as_bytes(std::span(exact)), {.check_values = true, .check_checksums = true});
  ASSERT_LE(count.bytes(), 2 * bytes.size() + (1 << 20)) << what;
  if (g) {
    ++tally.read;
    exercise(*g);
  } else {
    ++tally.refused;
    tally.codes.insert(g.error().code);
    ASSERT_NE(g.error().code, Code::ok) << what;
    ASSERT_NE(g.error().code, Code::internal) << what;
    ASSERT_FALSE(g.error().message.empty()) << what;
  }
}

TEST(Mutation, TheGoodFilesAreRead) {
  for (const SampleModel& m : good_models()) {
    const SampleBytes b = m.encode();
    const Result<Gguf> g = Gguf::parse(b.span(), {.check_values = true, .check_checksums = true});
    ASSERT_TRUE(g) << g.error().message;
    exercise(*g);
  }
}

TEST(Mutation, EveryFieldTimesEverySuspiciousValue) {
  Tally tally;
  int at = 0;
  const int step = 10000 / test_count(10000);
  for (const SampleModel& m : good_models()) {
    const SampleBytes good = m.encode();
    for (const SampleField& f : good.fields()) {
      uint64_t original = 0;
      std::memcpy(&original, good.bytes().data() + f.offset, f.bytes);
      for (const uint64_t value : suspicious(original, f.bytes, good.bytes().size())) {
        if (++at % step != 0) continue;
        std::string bytes = good.bytes();
        std::memcpy(bytes.data() + f.offset, &value, f.bytes);
        ASSERT_NO_FATAL_FAILURE(try_bytes(bytes, f.what + " = " + std::to_string(value), tally));
      }
    }
  }
  EXPECT_GT(tally.refused + tally.read, test_count(5000));
  std::printf("%d mutations: %d refused with %zu codes, %d read\n", tally.refused + tally.read, tally.refused,
              tally.codes.size(), tally.read);
}

// Several wild changes at once, anywhere in the header and tables.
TEST(Mutation, RandomBytes) {
  Tally tally;
  Random random(1);
  const std::vector<SampleModel> models = good_models();
  for (int i = 0; i < test_count(20000); ++i) {
    std::string bytes = models[size_t(i) % models.size()].encode().bytes();
    const int64_t end = int64_t(std::min<size_t>(bytes.size(), 2048));
    for (int64_t n = 1 + random.below(3); n > 0; --n) bytes[size_t(8 + random.below(end - 8))] = char(random.next());
    if (random.below(4) == 0) bytes.resize(size_t(random.below(int64_t(bytes.size()))));
    ASSERT_NO_FATAL_FAILURE(try_bytes(bytes, "random " + std::to_string(i), tally));
  }
  std::printf("%d random files: %d refused with %zu codes, %d read\n", tally.refused + tally.read, tally.refused,
              tally.codes.size(), tally.read);
}

}  // namespace
}  // namespace linnet

// libFuzzer: any bytes as a GGUF file. Beyond what the sanitizers see, the reader's promise about memory is checked.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "gguf/reader.h"
#include "tests/gguf/counting_new.h"
#include "tests/gguf/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const linnet::AllocationCount count;
  const auto gguf =
      linnet::Gguf::parse(std::as_bytes(std::span(data, size)), {.check_values = true, .check_checksums = true});
  if (count.bytes() > 2 * size + (1 << 20)) std::abort();
  if (gguf) linnet::exercise(*gguf);
  return 0;
}

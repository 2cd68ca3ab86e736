// Session files from outside: any bytes are refused with a sentence or read, and what was read is written as it was. The
// checksum is put right first, or nothing behind it would ever be seen.
#include <cstdlib>
#include <cstring>

#include "gguf/base/hash.h"
#include "runtime/session_file.h"

using namespace linnet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                               reinterpret_cast<const std::byte*>(data) + size);
  if (const auto session = decode_session(bytes); !session && session.error().message.empty()) std::abort();
  if (bytes.size() < 24) return 0;
  std::memcpy(bytes.data(), "LNSESS01", 8);
  const uint64_t body = bytes.size() - 24, checksum = xxh64(std::span(bytes).subspan(24));
  std::memcpy(bytes.data() + 8, &body, 8);
  std::memcpy(bytes.data() + 16, &checksum, 8);
  if (const auto session = decode_session(bytes); session && encode_session(*session) != bytes) std::abort();
  return 0;
}

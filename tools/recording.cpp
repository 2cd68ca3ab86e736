// recording := header options prompt tokens logits checksum          all numbers little-endian, nothing between
//
// header    := magic "LNRECORD"    8 bytes
//              version             u32, 1
//              vocabulary          u32, 1 to 2^23 - 1: logits in a row
//              prompt              u32, at least 1: token ids
//              tokens              u32, at least 1: token ids, and rows of logits
//              options             u32, at most 2^20: bytes, a multiple of 4
//              zero                u32
//              context             u64, at least 1: positions of the run
//              seed                u64
//              vocabulary hash     u64: XXH64 over each token's length (u32) and bytes
// options   := JSON, spaces behind it
// prompt    := i32[prompt], each below vocabulary
// tokens    := i32[tokens], each below vocabulary
// logits    := f32[tokens][vocabulary]
// checksum  := u64, XXH64 of all bytes before it
#include "tools/recording.h"

#include <algorithm>
#include <cstring>

#include "gguf/base/hash.h"

namespace linnet {
namespace {

constexpr char kMagic[8] = {'L', 'N', 'R', 'E', 'C', 'O', 'R', 'D'};
constexpr uint32_t kVersion = 1, kMostTokens = (1u << 23) - 1, kMostOptions = 1u << 20;

struct Header {
  char magic[8];
  uint32_t version, vocabulary, prompt, tokens, options, zero;
  uint64_t context, seed, vocabulary_hash;
};
static_assert(sizeof(Header) == 56);

// Cannot wrap: 2^20 + 2^34 + 2^32 * 2^25.
uint64_t bytes_of(const Header& h) {
  return sizeof(Header) + h.options + 4 * (uint64_t(h.prompt) + h.tokens) + 4 * uint64_t(h.tokens) * h.vocabulary +
         sizeof(uint64_t);
}

template <class... Args>
Error damaged(const std::string& path, fmt::format_string<Args...> text, Args&&... args) {
  return fail(Code::invalid_argument, "{} is no recording that can be read: {}; make it again with linnet record", path,
              fmt::format(text, std::forward<Args>(args)...));
}

Status check_header(const std::string& path, const Header& h, uint64_t bytes) {
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0)
    return damaged(path, "it does not begin with {}", std::string_view(kMagic, sizeof kMagic));
  if (h.version != kVersion) return damaged(path, "its version is {}, expected {}", h.version, kVersion);
  const auto within = [&](const char* what, uint64_t value, uint64_t low, uint64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return damaged(path, "its {} is {}, expected {} to {}", what, value, low, high);
  };
  LINNET_CHECK(within("vocabulary", h.vocabulary, 1, kMostTokens));
  LINNET_CHECK(within("number of prompt tokens", h.prompt, 1, UINT32_MAX));
  LINNET_CHECK(within("number of tokens", h.tokens, 1, UINT32_MAX));
  LINNET_CHECK(within("number of bytes of options", h.options, 0, kMostOptions));
  LINNET_CHECK(within("context", h.context, 1, INT64_MAX));
  LINNET_CHECK(within("reserved number", h.zero, 0, 0));
  if (h.options % 4 != 0) return damaged(path, "its options have {} bytes, expected a multiple of 4", h.options);
  if (bytes == bytes_of(h)) return {};
  return damaged(path, "it has {} bytes, expected {} for {} rows of {} logits", bytes, bytes_of(h), h.tokens,
                 h.vocabulary);
}

Status check_ids(const std::string& path, const char* what, std::span<const int32_t> ids, int32_t vocabulary) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      return damaged(path, "token {} of its {} is id {}, expected 0 to {}", i, what, ids[i], vocabulary - 1);
  return {};
}

}  // namespace

uint64_t vocabulary_hash(const SamplingVocabulary& vocabulary) {
  Xxh64 hash;
  for (int32_t token = 0; token < vocabulary.size(); ++token) {
    const std::string_view bytes = vocabulary.bytes(token);
    const auto length = static_cast<uint32_t>(bytes.size());
    hash.update(std::as_bytes(std::span(&length, 1)));
    hash.update(std::as_bytes(std::span(bytes)));
  }
  return hash.digest();
}

Status write_recording(const std::string& path, const Recording& r) {
  const std::string options = r.options + std::string((4 - r.options.size() % 4) % 4, ' ');
  if (options.size() > kMostOptions)
    return fail(Code::too_large, "the run's options take {} bytes, and a recording holds at most {}", options.size(),
                kMostOptions);
  Header h{.version = kVersion,
           .vocabulary = static_cast<uint32_t>(r.vocabulary),
           .prompt = static_cast<uint32_t>(r.prompt.size()),
           .tokens = static_cast<uint32_t>(r.tokens.size()),
           .options = static_cast<uint32_t>(options.size()),
           .zero = 0,
           .context = static_cast<uint64_t>(r.context),
           .seed = r.seed,
           .vocabulary_hash = r.vocabulary_hash};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  LINNET_TRY(os::NewFile file, os::NewFile::create(path));
  Xxh64 hash;
  for (const std::span<const std::byte> part :
       {std::as_bytes(std::span(&h, 1)), std::as_bytes(std::span(options)), std::as_bytes(std::span(r.prompt)),
        std::as_bytes(std::span(r.tokens)), std::as_bytes(r.logits)}) {
    LINNET_CHECK(file.append(part));
    hash.update(part);
  }
  const uint64_t checksum = hash.digest();
  LINNET_CHECK(file.append(std::as_bytes(std::span(&checksum, 1))));
  return file.commit();
}

Result<Recording> read_recording(const std::string& path) {
  LINNET_TRY(os::Mapping mapping, os::Mapping::open(path));
  const auto file = std::make_shared<const os::Mapping>(std::move(mapping));
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.size() < sizeof(Header))
    return damaged(path, "it has {} bytes, and its header alone {}", bytes.size(), sizeof(Header));
  Header h;
  std::memcpy(&h, bytes.data(), sizeof h);
  LINNET_CHECK(check_header(path, h, bytes.size()));
  uint64_t checksum = 0;
  const size_t end = bytes.size() - sizeof checksum;
  std::memcpy(&checksum, bytes.data() + end, sizeof checksum);
  if (checksum != xxh64(bytes.first(end))) return damaged(path, "its checksum is not that of its bytes");

  Recording r{.vocabulary = static_cast<int32_t>(h.vocabulary),
              .vocabulary_hash = h.vocabulary_hash,
              .context = static_cast<int64_t>(h.context),
              .seed = h.seed,
              .file = file};
  const std::byte* at = bytes.data() + sizeof h;
  r.options.assign(reinterpret_cast<const char*>(at), h.options);
  at += h.options;
  const auto* ids = reinterpret_cast<const int32_t*>(at);  // all parts are multiples of 4 bytes
  r.prompt.assign(ids, ids + h.prompt);
  r.tokens.assign(ids + h.prompt, ids + h.prompt + h.tokens);
  r.logits = {reinterpret_cast<const float*>(ids + h.prompt + h.tokens), size_t(h.tokens) * h.vocabulary};
  LINNET_CHECK(check_ids(path, "prompt", r.prompt, r.vocabulary));
  LINNET_CHECK(check_ids(path, "text", r.tokens, r.vocabulary));
  return r;
}

}  // namespace linnet

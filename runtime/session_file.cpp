// All integers little-endian:
//
//   8 bytes "LNSESS01" (the two digits are the version)
//   u64 bytes that follow the checksum, u64 XXH64 of them
//   text model, text turn
//   u64 count of tokens, i32 each
//   u64 count of messages, of each: text role, text content
//   u64 count of bytes of pages, the bytes
//
// where a text is u64 length and bytes of UTF-8.
#include "runtime/session_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "gguf/base/hash.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kMagic = "LNSESS01";
constexpr size_t kHeader = 24;

static_assert(std::endian::native == std::endian::little);

class Out {
 public:
  void number(uint64_t value) { raw(&value, sizeof(value)); }
  void text(std::string_view text) {
    number(text.size());
    raw(text.data(), text.size());
  }
  void raw(const void* data, size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  }
  std::vector<std::byte> bytes;
};

// Reads what Out wrote; the first thing that is not there is remembered, and everything after it is empty.
class In {
 public:
  explicit In(std::span<const std::byte> bytes) : all_(bytes), rest_(bytes) {}

  uint64_t number(const char* what) {
    uint64_t value = 0;
    const auto from = take(sizeof(value), what);
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof(value));
    return value;
  }
  // `count` things of `size` bytes each.
  std::span<const std::byte> take(uint64_t count, const char* what, uint64_t size = 1) {
    if (problem_) return {};
    if (count > rest_.size() / size) {
      problem_ = fail(Code::session_file, "the session file ends inside {} (offset {}): {} entries, {} bytes left",
                      what, all_.size() - rest_.size() + kHeader, count, rest_.size());
      return {};
    }
    const auto taken = rest_.first(static_cast<size_t>(count * size));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::string text(const char* what) {
    const auto bytes = take(number(what), what);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!problem_ && !utf8_valid(text))
      problem_ = fail(Code::session_file, "{} in the session file is not UTF-8", what);
    return text;
  }
  // A count of things that take at least `least` bytes each.
  uint64_t count(const char* what, uint64_t least) {
    const uint64_t n = number(what);
    if (!problem_ && n > rest_.size() / least)
      problem_ = fail(Code::session_file, "the session file says {} {}, and {} bytes are left", n, what, rest_.size());
    return problem_ ? 0 : n;
  }
  const std::optional<Error>& problem() const { return problem_; }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> all_, rest_;
  std::optional<Error> problem_;
};

}  // namespace

std::vector<std::byte> encode_session(const SavedSession& session) {
  Out body;
  body.text(session.model);
  body.text(session.text);
  body.number(session.tokens.size());
  body.raw(session.tokens.data(), session.tokens.size() * sizeof(int32_t));
  body.number(session.messages.size());
  for (const ChatMessage& message : session.messages) {
    body.text(message.role);
    body.text(message.content);
  }
  body.number(session.pages.size());
  body.raw(session.pages.data(), session.pages.size());
  Out file;
  file.raw(kMagic.data(), kMagic.size());
  file.number(body.bytes.size());
  file.number(xxh64(body.bytes));
  file.raw(body.bytes.data(), body.bytes.size());
  return std::move(file.bytes);
}

Result<SavedSession> decode_session(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kMagic.size()));
  if (bytes.size() < kHeader || !start.starts_with(kMagic.substr(0, 6))) {
    return fail(Code::session_file, "this is no session file: it begins with {}, expected {}", quoted(start),
                quoted(kMagic));
  }
  if (start != kMagic) {
    return fail(Code::session_file, "the session file has version {}, this build reads {}; save it again",
                start.substr(6), kMagic.substr(6));
  }
  uint64_t size = 0, checksum = 0;
  std::memcpy(&size, bytes.data() + 8, 8);
  std::memcpy(&checksum, bytes.data() + 16, 8);
  const auto body = bytes.subspan(kHeader);
  if (size != body.size()) {
    return fail(Code::session_file, "the session file has {} bytes after its header, expected {}", body.size(), size);
  }
  if (const uint64_t actual = xxh64(body); actual != checksum) {
    return fail(Code::session_file, "the session file is damaged: its checksum is {:016x}, expected {:016x}", actual,
                checksum);
  }
  In in(body);
  SavedSession session;
  session.model = in.text("the model's name");
  session.text = in.text("the conversation's text");
  const uint64_t tokens = in.count("tokens", sizeof(int32_t));
  const auto ids = in.take(tokens, "the tokens", sizeof(int32_t));
  session.tokens.resize(ids.size() / sizeof(int32_t));
  if (!ids.empty()) std::memcpy(session.tokens.data(), ids.data(), ids.size());
  for (uint64_t n = in.count("messages", 16); n > 0; --n) {
    std::string role = in.text("a message's role");
    session.messages.push_back({std::move(role), in.text("a message")});
  }
  const auto pages = in.take(in.number("the pages"), "the pages");
  session.pages.assign(pages.begin(), pages.end());
  if (in.problem()) return *in.problem();
  if (in.left() > 0) return fail(Code::session_file, "the session file has {} bytes after its end", in.left());
  return session;
}

Status write_session(const std::string& path, const SavedSession& session) {
  LINNET_TRY(os::NewFile file, os::NewFile::create(path));
  LINNET_CHECK(file.append(encode_session(session)));
  return file.commit();
}

Result<SavedSession> read_session(const std::string& path) {
  LINNET_TRY(const os::Mapping file, os::Mapping::open(path));
  return decode_session(file.bytes());
}

}  // namespace linnet

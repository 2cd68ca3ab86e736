#include "gguf/container.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "gguf/base/utf8.h"
#include "gguf/metadata.h"
#include "gguf/tensor_table.h"

namespace linnet {
namespace {

constexpr uint64_t kHeaderBytes = 24;

// What a file that is no GGUF file looks like.
std::string_view guess(std::string_view start) {
  if (start.starts_with("ggml") || start.starts_with("lmgg")) return "an old GGML file; convert the model to GGUF";
  if (start.starts_with("ggjt") || start.starts_with("tjgg") || start.starts_with("fmgg"))
    return "an old GGJT or GGMF file; convert the model to GGUF";
  if (start.starts_with("FUGG")) return "GGUF with its bytes reversed";
  if (start.starts_with("version https://git-lfs")) return "a Git LFS pointer; fetch the file itself (git lfs pull)";
  if (start.starts_with("<")) return "an HTML or XML page; the download failed";
  if (start.starts_with("PK\x03\x04")) return "a ZIP archive (a PyTorch checkpoint?); convert the model to GGUF";
  if (start.size() > 8 && start[8] == '{') return "a safetensors file; convert the model to GGUF";
  if (start.starts_with("{")) return "JSON text; name the model file itself";
  return "no model format known here";
}

Error wrong_magic(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 64));
  return fail(Code::gguf_magic, "expected the four bytes 'GGUF' at offset 0, found {}: {}", quoted(text.substr(0, 4)),
              guess(text));
}

Status check_version(uint32_t version) {
  constexpr const char* place = "at offset 4; versions 2 and 3 are read";
  if (version == 2 || version == 3) return {};
  if (version == 0) return fail(Code::gguf_version_zero, "the version is 0 {}", place);
  if (version == 1) return fail(Code::gguf_version_old, "version 1 is too old, {}; convert the model again", place);
  if ((version & 0xffff) == 0) {
    return fail(Code::gguf_big_endian, "this is a big-endian file (version {} with its bytes swapped {}); convert it",
                (version >> 8 & 0xff00) | version >> 24, place);
  }
  return fail(Code::gguf_version_new, "version {} is newer than this reader, {}", version, place);
}

Result<uint64_t> read_alignment(const Container& c) {
  const Value* value = c.find("general.alignment");
  if (value == nullptr) return uint64_t(32);
  if (value->type != ValueType::u32) {
    return fail(Code::gguf_alignment_type, "general.alignment at offset {} has type {}; expected u32", value->offset,
                value_type_name(value->type));
  }
  return check_alignment(uint64_t(value->integer()));
}

}  // namespace

Result<uint64_t> check_alignment(uint64_t alignment) {
  if (alignment == 0) return fail(Code::gguf_alignment_zero, "general.alignment is 0; expected a power of two");
  if (alignment > kMaxAlignment) {
    return fail(Code::gguf_alignment_large, "general.alignment is {}; expected at most {}", alignment, kMaxAlignment);
  }
  if (!std::has_single_bit(alignment) || alignment < 8) {
    return fail(Code::gguf_alignment_power, "general.alignment is {}; expected a power of two, at least 8", alignment);
  }
  return alignment;
}

Result<Container> read_container(std::span<const std::byte> file) {
  if (file.empty()) return fail(Code::gguf_empty, "the file is empty; expected a GGUF file of at least 24 bytes");
  if (file.size() >= 4 && std::memcmp(file.data(), "GGUF", 4) != 0) return wrong_magic(file);
  Cursor at(file);
  uint32_t magic = 0, version = 0;
  uint64_t tensor_count = 0, key_count = 0;
  if (at.read(magic) && at.read(version)) LINNET_CHECK(check_version(version));
  if (!at.read(tensor_count) || !at.read(key_count)) {
    return fail(Code::gguf_short, "the file has {} bytes; a GGUF file has at least {}", file.size(), kHeaderBytes);
  }
  LINNET_CHECK(check_tensor_count(tensor_count, at.remaining()));

  Container c{.file = file, .version = version, .tensor_count = tensor_count, .tensor_table = at};
  LINNET_TRY(c.values, read_metadata(c.tensor_table, key_count));
  const std::span<const Value> values = c.values;
  c.keys = NameIndex(values, &Value::key);
  if (const auto twice = c.keys.duplicate(values, &Value::key)) {
    return fail(Code::gguf_key_duplicate, "key {} is there twice, with values at offsets {} and {}",
                quoted(values[twice->first].key), values[twice->first].offset, values[twice->second].offset);
  }
  LINNET_TRY(c.alignment, read_alignment(c));
  return c;
}

}  // namespace linnet

// A session as a file: its history, the tokens of it, and what is computed of them.
//
// The file is written beside its name and renamed when it is whole and on the disk, so that the name always means either
// the old or the new session. A checksum covers everything. The history is portable; the computed pages are for the same
// model and build, and whoever reads them checks that (Sequence::resume): without them the history is computed again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/chat_format.h"

namespace linnet {

struct SavedSession {
  std::vector<ChatMessage> messages;
  std::string text;              // the last turn with its answer, as the template wrote it (ChatTokens)
  std::vector<int32_t> tokens;   // of the text, as the model chose them
  std::string model;             // what the tokens belong to: a name, and the number of its vocabulary's entries
  std::vector<std::byte> pages;  // a parked sequence, or empty
};

// The bytes of a file, and back. session_file says what is wrong with the bytes and where.
std::vector<std::byte> encode_session(const SavedSession& session);
Result<SavedSession> decode_session(std::span<const std::byte> bytes);

// io_write, io_permission, io_not_found; io_read, session_file.
Status write_session(const std::string& path, const SavedSession& session);
Result<SavedSession> read_session(const std::string& path);

}  // namespace linnet

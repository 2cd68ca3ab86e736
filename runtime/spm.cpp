#include "runtime/spm.h"

#include <bit>
#include <string>

#include "gguf/base/utf8.h"
#include "runtime/merge.h"

namespace linnet {
namespace {

// Scores ordered from best (highest) to worst, as ascending integers.
uint32_t priority_of(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 and 0 are equal
  const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

}  // namespace

struct Spm::Work {
  std::string piece;  // text being collected, spaces as U+2581
  MergeScratch scratch;
  std::vector<int32_t>& out;
  uint64_t entries = 0;
};

Spm::Spm(const Vocabulary& vocabulary, int32_t unknown, bool prefix)
    : vocabulary_(vocabulary), unknown_(unknown), prefix_(prefix) {
  for (int32_t id = 0; id < vocabulary.size() && words_apart_; ++id) {
    words_apart_ = !(vocabulary.textual(id) && has_inner_space(vocabulary.text(id)));
  }
}

void Spm::merge_piece(Work& work) const {
  const std::string_view piece = work.piece;
  const auto token = [&](std::string_view text) {
    const int32_t id = vocabulary_.find(text);
    return id >= 0 && vocabulary_.textual(id) ? id : -1;
  };
  work.scratch.clear();
  for (size_t at = 0; at < piece.size();) {
    const uint32_t bytes = utf8_decode(piece, at).bytes;
    work.scratch.append(uint32_t(at), bytes, token(piece.substr(at, bytes)));
    at += bytes;
  }
  work.entries += merge(work.scratch, [&](const Symbol& left, const Symbol& right) {
    const int32_t id = token(piece.substr(left.start, left.bytes + right.bytes));
    return id < 0 ? Merge{} : Merge{priority_of(vocabulary_.score(id)), id};
  });
  for (int32_t at = piece.empty() ? -1 : 0; at >= 0;) {
    const Symbol& symbol = work.scratch.symbols[size_t(at)];
    std::string_view text = piece.substr(symbol.start, symbol.bytes);
    at = symbol.next;
    if (symbol.id >= 0) {
      work.out.push_back(symbol.id);
    } else if (vocabulary_.has_byte_tokens()) {
      if (text == kSpmSpace) text = " ";  // a vocabulary without a token for the space
      for (const char c : text) work.out.push_back(vocabulary_.byte_token(uint8_t(c)));
    } else if (unknown_ >= 0) {
      work.out.push_back(unknown_);
    }
  }
  work.piece.clear();
}

uint64_t Spm::encode(std::string_view text, std::vector<int32_t>& out) const {
  Work work{.out = out};
  const bool byte_tokens = vocabulary_.has_byte_tokens();
  bool after_space = true;  // the piece is empty or ends with a space
  const auto add_space = [&] {
    if (words_apart_ && !after_space) merge_piece(work);
    work.piece += kSpmSpace;
    after_space = true;
  };
  if (prefix_) add_space();
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      add_space();
      ++at;
    } else if (text.substr(at, kSpmSpace.size()) == kSpmSpace) {
      if (byte_tokens) {
        merge_piece(work);
        for (const char c : kSpmSpace) out.push_back(vocabulary_.byte_token(uint8_t(c)));
        after_space = true;
      } else {
        add_space();
      }
      at += kSpmSpace.size();
    } else {
      work.piece += text[at++];
      after_space = false;
    }
  }
  merge_piece(work);
  return work.entries;
}

}  // namespace linnet

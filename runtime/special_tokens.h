// The tokens that stand for no text: which they are, and which of them end a generation.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/vocabulary.h"

namespace linnet {

struct SpecialIds {
  int32_t bos = -1, eos = -1, eot = -1, eom = -1, unk = -1, pad = -1;  // -1: none
  int32_t sep = -1, mask = -1;                                         // of encoders; bos is their CLS
  int32_t fim_pad = -1, fim_repo = -1, fim_sep = -1;                   // around files in code that is to be filled in
};

// From tokenizer.ggml.{bos,eos,eot,eom,unknown,padding,seperator,mask,fim_pad,fim_rep,fim_sep}_token_id (cls_token_id
// for bos in old files; "seperator" is how the key is spelled). Where a key is absent, the special token with a text
// known for it: <s>, </s> and <unk> of a "llama" vocabulary; </s>, <unk> and <pad> of "t5"; [CLS], [SEP], [UNK], [PAD]
// and [MASK] of "bert"; for eot, eom and fim of any. An id of -1 (as u32: 4294967295) means none; any other that is
// not a token is refused.
Result<SpecialIds> read_special_ids(const Gguf& gguf, const Vocabulary& vocabulary);

// eos, eot, eom, the three of fim, and the control or user-defined tokens whose texts are known to end a generation;
// ascending.
std::vector<int32_t> end_of_generation(const Vocabulary& vocabulary, const SpecialIds& ids);

// Whether the text is one of those and has the form <|name|>, which no ordinary word has: such a token is special,
// whatever the file says of its kind.
bool is_mark_of_end(std::string_view text);

}  // namespace linnet

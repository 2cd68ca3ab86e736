#include "runtime/special_tokens.h"

#include <gtest/gtest.h>

#include "tests/runtime/loaded_tokenizer.h"

namespace linnet {
namespace {

VocabularyFile with_tokens(std::initializer_list<const char*> texts, int32_t kind = 3) {
  VocabularyFile file = sample_bpe();
  for (const char* text : texts) file.add(text, kind);
  file.finish();
  return file;
}

TEST(EndOfGeneration, TextsOfAllFamilies) {
  const std::initializer_list<const char*> ends = {"<|eot_id|>",
                                                   "<|eom_id|>",
                                                   "<|eot|>",
                                                   "<end_of_turn>",
                                                   "<turn|>",
                                                   "<|end|>",
                                                   "<EOT>",
                                                   "_<EOT>",
                                                   "[EOT]",
                                                   "[EOS]",
                                                   "<eos>",
                                                   "<|END_OF_TURN_TOKEN|>",
                                                   "</s>",
                                                   "<|eos|>",
                                                   "<|endofturn|>",
                                                   "<|fim_pad|>",
                                                   "[e~[",
                                                   "<end_of_utterance>",
                                                   "<reponame>",
                                                   "<EOS>",
                                                   "<|file_sep|>",
                                                   "<|end_of_text|>",
                                                   "<｜end▁of▁sentence｜>"};
  const Loaded loaded(with_tokens(ends));
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  for (const char* text : ends) EXPECT_TRUE(loaded->is_eog(*loaded->find(text))) << text;
  EXPECT_TRUE(loaded->is_eog(*loaded->find("<|im_end|>")));
  EXPECT_TRUE(loaded->is_eog(*loaded->find("<|endoftext|>")));
  EXPECT_EQ(loaded->eog().size(), ends.size() + 2);
  EXPECT_TRUE(std::is_sorted(loaded->eog().begin(), loaded->eog().end()));

  const std::initializer_list<const char*> others = {"<|user|>", "<|im_start|>", "<s>", "<|fim_middle|>", "<|start|>"};
  const Loaded none(with_tokens(others));
  ASSERT_TRUE(none.tokenizer) << none.error;
  for (const char* text : others) EXPECT_FALSE(none->is_eog(*none->find(text))) << text;
}

// Chat GLM names <|user|> as its end of a turn.
TEST(EndOfGeneration, IdsOfTheFile) {
  for (const char* key : {"eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"}) {
    VocabularyFile file = with_tokens({"<|user|>"});
    file.set("tokenizer.ggml." + std::string(key) + "_token_id", uint32_t(file.tokens.size() - 1));
    const Loaded loaded(file);
    ASSERT_TRUE(loaded.tokenizer) << loaded.error;
    EXPECT_TRUE(loaded->is_eog(*loaded->find("<|user|>"))) << key;
  }
}

TEST(EndOfGeneration, SomeOnlyLookLikeIt) {
  struct Case {
    std::initializer_list<const char*> tokens;
    const char* inner;
    bool ends;
  };
  const Case cases[] = {{{"<|end|>"}, "<|end|>", true},
                        {{"<|end|>", "<|call|>"}, "<|end|>", true},
                        {{"<|end|>", "<|return|>", "<|call|>"}, "<|end|>", false},
                        {{"<|end|>", "<|flush|>", "<|calls|>"}, "<|end|>", false},
                        {{"</s>"}, "</s>", true},
                        {{"</s>", "<|tool_response>"}, "</s>", false}};
  for (const Case& c : cases) {
    const Loaded loaded(with_tokens(c.tokens));
    ASSERT_TRUE(loaded.tokenizer) << loaded.error;
    for (const char* text : c.tokens) {
      EXPECT_EQ(loaded->is_eog(*loaded->find(text)), std::string_view(text) != c.inner || c.ends) << text;
    }
    EXPECT_TRUE(loaded->is_eog(loaded->special().eos));
  }
}

// Converters have marked <|name|> tokens as ordinary text; a word like </s> may be ordinary.
TEST(EndOfGeneration, KindsThatAreWrong) {
  const Loaded loaded(with_tokens({"<|eom_id|>", "</s>", "<EOT>", "<｜end▁of▁sentence｜>", "<|other|>"}, 1));
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  for (const char* text : {"<|eom_id|>", "<｜end▁of▁sentence｜>"}) {
    const int32_t id = *loaded->find(text);
    EXPECT_TRUE(loaded->is_eog(id)) << text;
    EXPECT_EQ(loaded->bytes(id), "");
    EXPECT_EQ(encode(*loaded, text, {.special = true}), Ids{id});
    EXPECT_GT(encode(*loaded, text).size(), 1u);
  }
  for (const char* text : {"</s>", "<EOT>", "<|other|>"}) {
    EXPECT_FALSE(loaded->is_eog(*loaded->find(text))) << text;
    EXPECT_GT(encode(*loaded, text, {.special = true}).size(), 1u);
  }
}

TEST(SpecialIds, KeysAndTexts) {
  VocabularyFile file = with_tokens({"<|im_sep|>"});
  const Loaded plain(file);
  ASSERT_TRUE(plain.tokenizer) << plain.error;
  EXPECT_EQ(plain->special().bos, -1);
  EXPECT_EQ(plain->special().sep, -1);
  EXPECT_EQ(plain->special().eot, *plain->find("<|im_end|>"));
  file.set("tokenizer.ggml.cls_token_id", 3u);
  file.set("tokenizer.ggml.seperator_token_id", 4u);
  file.set("tokenizer.ggml.mask_token_id", 5u);
  file.set("tokenizer.ggml.eot_token_id", 6u);
  const Loaded keys(file);
  ASSERT_TRUE(keys.tokenizer) << keys.error;
  EXPECT_EQ(keys->special().bos, 3);
  EXPECT_EQ(keys->special().sep, 4);
  EXPECT_EQ(keys->special().mask, 5);
  EXPECT_EQ(keys->special().eot, 6);
  file.set("tokenizer.ggml.bos_token_id", 7u);
  const Loaded bos(file);
  EXPECT_EQ(bos->special().bos, 7);
}

TEST(SpecialTokens, SomeTakeWhiteSpaceAway) {
  VocabularyFile file = sample_spm();
  file.set("general.name", "Phi-3 mini");
  const Loaded phi(file);
  file.set("general.name", "Llama");
  const Loaded llama(file);
  ASSERT_TRUE(phi.tokenizer && llama.tokenizer) << phi.error << llama.error;
  const int32_t end = *phi->find("<|im_end|>"), hello = *phi->find("▁hello");
  EXPECT_EQ(encode(*phi, "<|im_end|>\n \thello", {.special = true}), (Ids{end, hello}));
  EXPECT_EQ(encode(*phi, "<|im_end|>\n", {.special = true}), Ids{end});
  EXPECT_GT(encode(*llama, "<|im_end|>\nhello", {.special = true}).size(), 3u);
  EXPECT_EQ(encode(*phi, "<s> hello", {.special = true}), encode(*llama, "<s> hello", {.special = true}));

  VocabularyFile bert = with_tokens({"<mask>"});
  bert.set("tokenizer.ggml.pre", "jina-v2-code");
  const Loaded jina(bert);
  ASSERT_TRUE(jina.tokenizer) << jina.error;
  EXPECT_EQ(encode(*jina, "a \t<mask> b", {.special = true}), (Ids{'a', *jina->find("<mask>"), ' ', 'b'}));
}

}  // namespace
}  // namespace linnet

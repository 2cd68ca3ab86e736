#include "runtime/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "gguf/base/utf8.h"
#include "runtime/bpe.h"
#include "runtime/spm.h"
#include "runtime/token_stream.h"
#include "tests/runtime/loaded_tokenizer.h"
#include "tests/runtime/split_words.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Those that can write every byte.
const char* const kVocabularies[] = {"llama-spm", "phi-3", "llama-bpe", "qwen2", "gpt-2"};

std::string random_text(Random& random) {
  const auto range = [&](uint32_t first, uint32_t last) { return first + uint32_t(random.below(last - first + 1)); };
  std::string text;
  for (int64_t n = random.below(24); n > 0; --n) {
    switch (random.below(12)) {
      case 0:
        utf8_append(text, range('a', 'z'));
        break;
      case 1:
        utf8_append(text, range('0', '9'));
        break;
      case 2:
        text.append(size_t(random.below(5)), ' ');
        break;
      case 3:
        utf8_append(text, range(0, 0x7f));
        break;
      case 4:
        utf8_append(text, range(0x80, 0x7ff));
        break;
      case 5:
        utf8_append(text, range(0x4e00, 0x9fff));
        break;
      case 6:
        utf8_append(text, range(0x1f300, 0x1faff));
        break;
      case 7:
        utf8_append(text, range(0x800, 0xffff));
        break;
      case 8:
        utf8_append(text, range(0x10000, 0x10ffff));
        break;
      case 9:
        text += " hello world";
        break;
      case 10:
        text += kSpmSpace;
        break;
      default:
        text += "\r\n\t"[random.below(3)];
    }
  }
  return text;
}

TEST(TokenizerVectors, OfRealVocabularies) {
  if (!shared_data("vocab")) GTEST_SKIP() << "no reference data (LINNET_SHARED_DATA)";
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> names(std::begin(kVocabularies), std::end(kVocabularies));
  // These lack some byte letters: no round trip of every text, but of these.
  names.insert(names.end(), {"falcon", "deepseek-coder", "starcoder", "bert-bge"});
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Loaded loaded(*shared_data("vocab/" + name + ".gguf"));
    ASSERT_TRUE(loaded.tokenizer) << loaded.error;
    const std::string texts = read(*shared_data("vocab/" + name + ".inp"));
    std::istringstream lines(read(*shared_data("vocab/" + name + ".out")));
    std::string line;
    int right = 0, all = 0;
    for (size_t at = 0; std::getline(lines, line); ++all) {
      const size_t end = std::min(texts.find(separator, at), texts.size());
      const std::string text = texts.substr(at, end - at);
      at = std::min(end + separator.size(), texts.size());
      std::istringstream numbers(line);
      const Ids expected{std::istream_iterator<int32_t>(numbers), {}};
      const Ids actual = encode(*loaded, text);
      EXPECT_EQ(actual, expected) << quoted(text);
      if (name != "bert-bge") { EXPECT_EQ(loaded->decode(actual), text); }
      right += actual == expected;
    }
    EXPECT_GT(all, 40);
    printf("%-10s %d of %d vectors\n", name.c_str(), right, all);
  }
}

// The "text" and "prompt" of each entry of "greedy": the generator writes them in this order, as ASCII.
TEST(TokenizerVectors, PromptsOfTheSmallModels) {
  const auto folder = shared_data("models");
  if (!folder) GTEST_SKIP() << "no reference data (LINNET_SHARED_DATA)";
  int prompts = 0, models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const Loaded loaded(std::filesystem::path(entry.path()).replace_extension(".gguf").string());
    ASSERT_TRUE(loaded.tokenizer) << loaded.error;
    ++models;
    const std::string json = read(entry.path().string());
    for (size_t at = json.find("\"text\":"); at != json.npos; at = json.find("\"text\":", at + 1)) {
      const size_t first = json.find('"', at + 7) + 1, last = json.find('"', first);
      const size_t list = json.find('[', json.find("\"prompt\":", last)) + 1;
      std::string numbers = json.substr(list, json.find(']', list) - list);
      std::replace(numbers.begin(), numbers.end(), ',', ' ');
      std::istringstream in(numbers);
      const Ids expected{std::istream_iterator<int32_t>(in), {}};
      const std::string text = json.substr(first, last - first);
      EXPECT_EQ(encode(*loaded, text, {.bos = loaded->add_bos()}), expected) << text;
      ++prompts;
    }
  }
  EXPECT_GT(prompts, 0);
  printf("%d prompts of %d models\n", prompts, models);
}

TEST(Tokenizer, DecodeUndoesEncode) {
  std::vector<std::unique_ptr<Loaded>> all;
  for (const VocabularyFile& file : {sample_spm(), sample_gemma4(), sample_rwkv()}) {
    all.push_back(std::make_unique<Loaded>(file));
  }
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "default", "falcon", "gpt-4o", "deepseek-llm", "superbpe"}) {
    all.push_back(std::make_unique<Loaded>(sample_bpe(pre)));
  }
  for (const std::string name : kVocabularies) {
    if (const auto path = shared_data("vocab/" + name + ".gguf")) all.push_back(std::make_unique<Loaded>(*path));
  }
  int texts = 0;
  for (const auto& loaded : all) {
    ASSERT_TRUE(loaded->tokenizer) << loaded->error;
    const Tokenizer& t = **loaded;
    Random random(7);
    for (int i = 0; i < test_count(3000); ++i, ++texts) {
      const std::string text = random_text(random);
      const Ids tokens = encode(t, text);
      ASSERT_EQ(t.decode(tokens), text) << quoted(text, 1000);
      // With special tokens parsed, and shown again, nothing is lost either.
      const std::string more = text + "<tool><|im_end|>" + text + "<|endoftext|>";
      ASSERT_EQ(t.decode(encode(t, more, {.special = true}), true), more) << quoted(more, 1000);
      // The stream gives the same text in valid pieces.
      TokenStream stream(t);
      std::string streamed;
      for (const int32_t token : tokens) {
        const std::string piece = stream.push(token);
        ASSERT_TRUE(utf8_valid(piece));
        streamed += piece;
      }
      ASSERT_EQ(streamed + stream.flush(), text);
      // Any bytes: nothing is lost where every byte has a token.
      std::string bytes = text;
      for (char& c : bytes) c = random.below(8) == 0 ? char(random.below(256)) : c;
      ASSERT_EQ(t.decode(encode(t, bytes)), bytes) << quoted(bytes, 1000);
    }
  }
  printf("%d random texts in %zu vocabularies\n", texts, all.size());
}

// The definition of both algorithms: merge the best pair, the leftmost of equals, until there is none.
Ids merged_slowly(std::vector<std::string> symbols, const std::function<double(std::string, std::string)>& rate,
                  const std::function<int32_t(std::string)>& id) {
  for (;;) {
    double best = INFINITY;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const double r = rate(symbols[i], symbols[i + 1]);
      if (r < best) best = r, at = i;
    }
    if (best == INFINITY) break;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + std::ptrdiff_t(at) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) ids.push_back(id(symbol));
  return ids;
}

// Text of single characters and words that the samples know, all of which have tokens.
std::string known_text(Random& random) {
  const char* parts[] = {"hello", " world", "a", "aa", " ", "the", "ing", "日", "本",
                         "🦙",  "é",      "w", "o",  "r", "l",   "d",   "\n"};
  std::string text;
  for (int64_t n = random.below(20); n > 0; --n) text += parts[random.below(std::ssize(parts))];
  return text;
}

TEST(Spm, QueueAgreesWithTheDefinition) {
  VocabularyFile plain = sample_spm(), inner = sample_spm();
  inner.add("o▁w", 1, -2.5f);  // a token across the beginning of a word: words cannot be merged one by one
  inner.finish();
  const Loaded first(plain), second(inner);
  for (const Loaded* loaded : {&first, &second}) {
    ASSERT_TRUE(loaded->tokenizer) << loaded->error;
    auto v = Vocabulary::load(*loaded->gguf);
    ASSERT_TRUE(v);
    Random random(3);
    for (int i = 0; i < test_count(3000); ++i) {
      const std::string text = known_text(random);
      std::vector<std::string> symbols;
      for (size_t at = 0; at < text.size(); at += utf8_decode(text, at).bytes) {
        const std::string c = text.substr(at, utf8_decode(text, at).bytes);
        symbols.push_back(c == " " ? std::string(kSpmSpace) : c);
      }
      if (!text.empty()) symbols.insert(symbols.begin(), std::string(kSpmSpace));
      const auto rate = [&](const std::string& a, const std::string& b) {
        const int32_t id = v->find(a, b);
        return id < 0 ? double(INFINITY) : -double(v->score(id));
      };
      const Ids slow = merged_slowly(symbols, rate, [&](const std::string& s) { return v->find(s); });
      ASSERT_EQ(encode(**loaded, text), slow) << quoted(text, 1000);
    }
  }
}

TEST(Bpe, OfCharacters) {
  const Loaded t(sample_gemma4());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(t->model(), "gemma4");
  EXPECT_EQ(t->pre(), "gemma4");
  EXPECT_TRUE(t->add_bos());
  EXPECT_EQ(pieces(*t, encode(*t, "hello world")), "hello ▁worl d");
  EXPECT_EQ(pieces(*t, encode(*t, "o w")), "o ▁w");  // no word is cut off: "o ▁" is only the later merge
  EXPECT_EQ(pieces(*t, encode(*t, "o e")), "o▁ e");
  EXPECT_EQ(pieces(*t, encode(*t, "x▁é€")), "<0x78> <0xE2> <0x96> <0x81> é <0xE2> <0x82> <0xAC>");
  EXPECT_EQ(pieces(*t, encode(*t, "a\n\n\na\n\n\n\n")), "a \n\n\n a \n\n \n\n");
  EXPECT_EQ(t->decode(encode(*t, " a  日本🦙🦙\xff")), " a  日本🦙🦙\xff");
  // The same in a file of model "gpt2".
  VocabularyFile file = sample_gemma4();
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", "sarvam-moe");
  const Loaded sarvam(file);
  ASSERT_TRUE(sarvam.tokenizer) << sarvam.error;
  EXPECT_EQ(pieces(*sarvam, encode(*sarvam, "hello world")), "hello ▁worl d");
  EXPECT_FALSE(sarvam->add_bos());
}

// Words that come again are copied; the same text word by word gives the same tokens.
TEST(Bpe, WordsThatComeAgain) {
  const Loaded t(sample_bpe());
  ASSERT_TRUE(t.tokenizer) << t.error;
  Random random(12);
  for (int i = 0; i < test_count(300); ++i) {
    std::string text;
    for (int64_t n = random.below(400); n > 0; --n) text += known_text(random).substr(0, size_t(random.below(9)));
    Ids slow;
    for (const std::string& word : split_words("gpt-2", text)) {
      const Ids ids = encode(*t, word);
      slow.insert(slow.end(), ids.begin(), ids.end());
    }
    ASSERT_EQ(encode(*t, text), slow) << quoted(text, 1000);
  }
}

TEST(Bpe, QueueAgreesWithTheDefinition) {
  const VocabularyFile file = sample_bpe();
  const Loaded loaded(file);
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  auto v = Vocabulary::load(*loaded.gguf);
  ASSERT_TRUE(v);
  const auto rate = [&](const std::string& a, const std::string& b) {
    const auto at = std::find(file.merges.begin(), file.merges.end(), byte_letters(a) + " " + byte_letters(b));
    return at == file.merges.end() ? double(INFINITY) : double(at - file.merges.begin());
  };
  Random random(4);
  for (int i = 0; i < test_count(3000); ++i) {
    const std::string text = known_text(random);
    Ids slow;
    for (const std::string& word : split_words("gpt-2", text)) {
      std::vector<std::string> symbols;
      for (const char c : word) symbols.emplace_back(1, c);
      const Ids ids = merged_slowly(symbols, rate, [&](const std::string& s) { return v->find(byte_letters(s)); });
      slow.insert(slow.end(), ids.begin(), ids.end());
    }
    ASSERT_EQ(encode(*loaded, text), slow) << quoted(text, 1000);
  }
}

// A megabyte of one thing: the queue may hold three entries per symbol, so the work is O(n log n).
TEST(Tokenizer, NoTextIsQuadratic) {
  const size_t n = size_t(test_count(10)) * 100000;
  std::string emoji;
  while (emoji.size() < n) emoji += "🦙";
  std::vector<std::string> texts = {std::string(n, 'a'),    std::string(n, ' '), std::string(n, '\n'), emoji,
                                    std::string(n, '\xff'), std::string(n, '1'), std::string(n, '<')};
  std::string words;
  while (words.size() < n) words += " hello world\n";
  texts.push_back(words);
  std::vector<std::unique_ptr<Loaded>> all;
  all.push_back(std::make_unique<Loaded>(sample_spm()));
  all.push_back(std::make_unique<Loaded>(sample_bpe()));
  all.push_back(std::make_unique<Loaded>(sample_bpe("llama-bpe")));
  all.push_back(std::make_unique<Loaded>(sample_bpe("superbpe")));
  all.push_back(std::make_unique<Loaded>(sample_gemma4()));
  for (const std::string name : {"llama-spm", "llama-bpe"}) {
    if (const auto path = shared_data("vocab/" + name + ".gguf")) all.push_back(std::make_unique<Loaded>(*path));
  }
  double worst = 0;
  for (const auto& loaded : all) {
    ASSERT_TRUE(loaded->tokenizer) << loaded->error;
    auto v = Vocabulary::load(*loaded->gguf);
    ASSERT_TRUE(v);
    const bool spm = v->model() == VocabularyModel::spm;
    for (const std::string& text : texts) {
      Ids out;
      uint64_t steps;
      if (spm) {
        steps = Spm(*v, 0, true).encode(text, out);
      } else {
        auto bpe = Bpe::load(*loaded->gguf, *v, -1);
        ASSERT_TRUE(bpe);
        steps = bpe->encode(text, out);  // the looks of the pre-tokenizer count too
      }
      EXPECT_LE(steps, (spm ? 3 : 9) * (text.size() + 1)) << quoted(text, 8);
      worst = std::max(worst, double(steps) / double(text.size()));
      EXPECT_TRUE((*loaded)->decode(out) == text) << quoted(text, 8);
    }
  }
  printf("%zu texts of %zu bytes, at most %.2f steps per byte\n", texts.size() * all.size(), n, worst);
}

TEST(Tokenizer, SpecialTokensOnlyWhenAskedFor) {
  const Loaded spm(sample_spm()), bpe(sample_bpe());
  for (const Loaded* loaded : {&spm, &bpe}) {
    ASSERT_TRUE(loaded->tokenizer) << loaded->error;
    const Tokenizer& t = **loaded;
    const int32_t end = *t.find("<|im_end|>"), tool = *t.find("<tool>");
    const Ids plain = encode(t, "hello<|im_end|><tool>");
    EXPECT_EQ(std::count(plain.begin(), plain.end(), end), 0);
    EXPECT_EQ(plain.back(), tool);  // user-defined tokens always count
    const Ids parsed = encode(t, "hello<|im_end|><tool>", {.special = true});
    EXPECT_EQ(Ids(parsed.end() - 2, parsed.end()), (Ids{end, tool}));
    EXPECT_EQ(t.decode(parsed), "hello<tool>");
    EXPECT_EQ(t.decode(parsed, true), "hello<|im_end|><tool>");
    EXPECT_EQ(t.bytes(end), "");
    EXPECT_EQ(t.bytes(tool), "<tool>");
    EXPECT_EQ(t.piece(end), "<|im_end|>");
    EXPECT_TRUE(t.is_eog(end));
    EXPECT_FALSE(t.is_eog(tool));
    EXPECT_EQ(t.special().eot, end);
    EXPECT_EQ(t.tokenize("hello<|im_end|><tool>"), plain);
  }
  // The longest of those that start first.
  EXPECT_EQ(encode(*spm, "<tool>x"), Ids{*spm->find("<tool>x")});
  EXPECT_EQ(encode(*spm, "<tool>").size(), 1u);
  // A text can never be merged into a control, unknown or byte token.
  for (const char* text : {"<s>", "</s>", "<unk>", "<0x41>", "<|im_start|>"}) {
    for (const int32_t token : encode(*spm, text)) EXPECT_NE(spm->piece(token), text);
    EXPECT_EQ(spm->decode(encode(*spm, text)), text);
  }
  EXPECT_EQ(encode(*spm, "<s>", {.special = true}), Ids{1});
}

TEST(Tokenizer, BosAndFlags) {
  const Loaded spm(sample_spm()), bpe(sample_bpe()), llama3(sample_bpe("llama-bpe"));
  ASSERT_TRUE(spm.tokenizer && bpe.tokenizer && llama3.tokenizer) << spm.error << bpe.error << llama3.error;
  EXPECT_TRUE(spm->add_bos());
  EXPECT_FALSE(spm->add_eos());
  EXPECT_EQ(spm->special().bos, 1);
  EXPECT_EQ(spm->special().eos, 2);
  EXPECT_EQ(spm->special().unk, 0);
  EXPECT_EQ(spm->special().pad, -1);
  EXPECT_EQ(spm->model(), "llama");
  EXPECT_EQ(spm->pre(), "default");
  EXPECT_EQ(bpe->model(), "gpt2");
  EXPECT_EQ(bpe->pre(), "gpt-2");
  EXPECT_EQ(encode(*spm, "", {.bos = true}), Ids{1});
  EXPECT_EQ(encode(*spm, ""), Ids{});
  EXPECT_EQ(encode(*spm, "hello", {.bos = true}), (Ids{1, *spm->find("▁hello")}));
  EXPECT_FALSE(bpe->add_bos());
  EXPECT_FALSE(llama3->add_bos()) << "its vocabulary has no BOS";
  const auto refused = bpe->encode("x", {.bos = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);

  VocabularyFile file = sample_bpe("llama-bpe");
  file.set("tokenizer.ggml.bos_token_id", 280u);
  file.set("tokenizer.ggml.add_eos_token", true);
  file.set("tokenizer.chat_template", "{{ x }}");
  const Loaded with_bos(file);
  ASSERT_TRUE(with_bos.tokenizer) << with_bos.error;
  EXPECT_TRUE(with_bos->add_bos());
  EXPECT_TRUE(with_bos->add_eos());
  EXPECT_EQ(with_bos->chat_template(), "{{ x }}");
  EXPECT_EQ(encode(*with_bos, "a", {.bos = true, .eos = true}), (Ids{280, 'a', with_bos->special().eos}));
  EXPECT_EQ(encode(*with_bos, "", {.eos = true}), Ids{with_bos->special().eos});
  file.remove("tokenizer.ggml.eos_token_id");
  file.remove("tokenizer.ggml.add_eos_token");
  const Loaded without_eos(file);
  ASSERT_TRUE(without_eos.tokenizer) << without_eos.error;
  const auto no_eos = without_eos->encode("x", {.eos = true});
  ASSERT_FALSE(no_eos);
  EXPECT_EQ(no_eos.error().code, Code::invalid_argument);
}

// Old files do not name their pre-tokenizer.
TEST(Tokenizer, NoPreMeansDefault) {
  VocabularyFile file = sample_bpe("default");
  const Loaded named(file);
  file.remove("tokenizer.ggml.pre");
  const Loaded absent(file);
  ASSERT_TRUE(named.tokenizer && absent.tokenizer) << named.error << absent.error;
  EXPECT_EQ(absent->pre(), "default");
  EXPECT_EQ(encode(*absent, "it's 12345  !"), encode(*named, "it's 12345  !"));
}

TEST(Tokenizer, SpacePrefix) {
  VocabularyFile file = sample_spm();
  const Loaded with(file);
  file.set("tokenizer.ggml.add_space_prefix", false);
  const Loaded without(file);
  ASSERT_TRUE(with.tokenizer && without.tokenizer) << with.error << without.error;
  EXPECT_EQ(encode(*with, "hello"), Ids{*with->find("▁hello")});
  EXPECT_EQ(encode(*without, "hello"), Ids{*with->find("hello")});
  EXPECT_EQ(encode(*without, " hello"), Ids{*with->find("▁hello")});
  EXPECT_EQ(without->decode(encode(*without, " hello")), " hello");
  const int32_t end = *with->find("<|im_end|>"), hello = *with->find("▁hello");
  EXPECT_EQ(encode(*with, "hello<|im_end|>hello", {.special = true}), (Ids{hello, end, hello}));
  EXPECT_EQ(with->decode(Ids{hello, end, hello}), "hellohello");
  EXPECT_EQ(with->decode(Ids{hello, hello}), "hello hello");
  EXPECT_EQ(TokenStream(*with, hello).push(hello), " hello");
  EXPECT_EQ(TokenStream(*with, end).push(hello), "hello");
}

TEST(Tokenizer, WholeWordsAreTakenWithoutMerging) {
  for (const char* pre : {"tekken", "youtu", "kimi-k2", "lfm2", "granite-embed-multi-97m", "minicpm5"}) {
    const Loaded t(sample_bpe(pre));
    ASSERT_TRUE(t.tokenizer) << t.error;
    EXPECT_EQ(encode(*t, " whole"), Ids{*t->find("Ġwhole")}) << pre;
  }
  const Loaded gpt2(sample_bpe()), llama3(sample_bpe("llama-bpe"));
  ASSERT_TRUE(gpt2.tokenizer && llama3.tokenizer) << gpt2.error << llama3.error;
  EXPECT_EQ(encode(*llama3, " whole"), Ids{*llama3->find("Ġwhole")});
  EXPECT_GT(encode(*gpt2, " whole").size(), 1u);
}

TEST(Tokenizer, UnknownCharacters) {
  VocabularyFile file;  // SentencePiece without byte tokens
  file.set("tokenizer.ggml.model", "llama");
  file.add("<unk>", 2);
  for (const char* piece : {"▁", "a", "b", "ab"}) file.add(piece);
  file.finish();
  const Loaded spm(file);
  ASSERT_TRUE(spm.tokenizer) << spm.error;
  EXPECT_EQ(encode(*spm, "abéa"), (Ids{1, 4, 0, 2}));
  EXPECT_EQ(encode(*spm, "\xff▁"), (Ids{1, 0, 1}));
  EXPECT_EQ(spm->decode(encode(*spm, "ab ab")), "ab ab");

  VocabularyFile letters = sample_bpe();
  letters.tokens[1] = "qq";  // the byte 0x01 has no letter
  letters.finish();
  const Loaded dropped(letters);
  letters.set("tokenizer.ggml.unknown_token_id", 5u);
  const Loaded marked(letters);
  ASSERT_TRUE(dropped.tokenizer && marked.tokenizer) << dropped.error << marked.error;
  EXPECT_EQ(dropped->decode(encode(*dropped, "a\x01z")), "az");
  EXPECT_EQ(encode(*marked, "a\x01z"), (Ids{'a', 5, 'z'}));
}

TEST(Tokenizer, IdsThatAreNoTokens) {
  Loaded loaded(sample_bpe());
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  const Tokenizer moved = *std::move(loaded.tokenizer);
  for (const int32_t id : {-1, moved.size(), INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(moved.bytes(id), "");
    EXPECT_EQ(moved.piece(id), "");
    EXPECT_FALSE(moved.is_eog(id));
    EXPECT_EQ(moved.decode(Ids{'h', id, 'i'}), "hi");
  }
  EXPECT_EQ(moved.find("no such token"), std::nullopt);
}

TEST(Tokenizer, TooMuchText) {
  const Loaded loaded(sample_bpe());
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  const std::string text(Tokenizer::kMaxTextBytes + 1, 'a');
  const auto refused = loaded->encode(text, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::prompt_too_long);
  EXPECT_TRUE(loaded->tokenize(text).empty());
}

TEST(TokenStream, HoldsBackUnfinishedCharacters) {
  const Loaded loaded(sample_bpe());
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  const int32_t end = *loaded->find("<|im_end|>");
  TokenStream stream(*loaded);
  EXPECT_EQ(stream.push(0xe6), "");
  EXPECT_EQ(stream.push(0x97), "");
  EXPECT_EQ(stream.push(end), "");  // shows nothing, breaks nothing
  EXPECT_EQ(stream.push(0xa5), "日");
  EXPECT_EQ(stream.push(0xf0), "");
  EXPECT_EQ(stream.push('a'),
            "\ufffd"
            "a");
  EXPECT_EQ(stream.push(0xff), "\ufffd");
  EXPECT_EQ(stream.push(0xe6), "");
  EXPECT_EQ(stream.flush(), "\ufffd");
  EXPECT_EQ(stream.flush(), "");
  TokenStream special(*loaded, -1, true);
  EXPECT_EQ(special.push(end), "<|im_end|>");
  EXPECT_EQ(special.push(-5), "");
}

}  // namespace
}  // namespace linnet

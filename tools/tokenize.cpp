// linnet tokenize and linnet detokenize: text to token ids and back, through standard input and output.
#include <charconv>

#include "gguf/base/json.h"
#include "runtime/tokenizer.h"
#include "tools/commands.h"

namespace linnet {
namespace {

class Tokenize : public Command {
 public:
  const char* name() const override { return "tokenize"; }
  const char* summary() const override { return "print the token ids of the text on standard input"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.flag("--bos", bos_, "add the beginning-of-text token");
    args.flag("--eos", eos_, "add the end-of-text token (encoders: the separator)");
    args.flag("--special", special_, "parse special tokens in the text");
    add_json(args, "print a JSON array instead of one id and piece a line");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const Gguf file, Gguf::open(path));
    LINNET_TRY(const Tokenizer tokenizer, Tokenizer::load(file));
    LINNET_TRY(const std::string text, read_stdin());
    LINNET_TRY(const auto tokens, tokenizer.encode(text, {.bos = bos_, .special = special_, .eos = eos_}));
    std::string out;
    for (const int32_t token : tokens)
      out += json_ ? fmt::format("{}{}", out.empty() ? "" : ",", token)
                   : fmt::format("{:8} {}\n", token, json_quote(tokenizer.piece(token)));
    LINNET_CHECK(write_stdout(json_ ? "[" + out + "]\n" : out));
    return kDone;
  }

 private:
  bool bos_ = false, eos_ = false, special_ = false;
};

// Whole numbers separated by anything else, so that the output of `tokenize --json` can be fed back.
Result<std::vector<int32_t>> read_ids(const std::string& text, int32_t vocabulary) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if ((*at < '0' || *at > '9') && *at != '-') {
      ++at;
      continue;
    }
    int64_t id = -1;
    const auto [next, problem] = std::from_chars(at, end, id);
    if (problem != std::errc() || id < 0 || id >= vocabulary)
      return fail(Code::token_range, "\"{}\" is no token id of this vocabulary (0 to {})",
                  std::string(at, std::max(next, at + 1)), vocabulary - 1);
    ids.push_back(static_cast<int32_t>(id));
    at = next;
  }
  return ids;
}

class Detokenize : public Command {
 public:
  const char* name() const override { return "detokenize"; }
  const char* summary() const override { return "print the text of the token ids on standard input"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.flag("--special", special_, "show special tokens as text");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const Gguf file, Gguf::open(path));
    LINNET_TRY(const Tokenizer tokenizer, Tokenizer::load(file));
    LINNET_TRY(const std::string text, read_stdin());
    LINNET_TRY(const auto ids, read_ids(text, tokenizer.size()));
    LINNET_CHECK(write_stdout(tokenizer.decode(ids, special_)));
    return kDone;
  }

 private:
  bool special_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize() { return std::make_unique<Tokenize>(); }
std::unique_ptr<Command> make_detokenize() { return std::make_unique<Detokenize>(); }

}  // namespace linnet

// linnet quantize: a model file with its tensors in other types.
#include <cstdio>

#include "gguf/base/aligned.h"
#include "gguf/codec.h"
#include "gguf/recipes.h"
#include "gguf/writer.h"
#include "kernels/cpu/pool.h"
#include "tools/commands.h"
#include "tools/quantizer.h"

namespace linnet {
namespace {

class Quantize : public Command {
 public:
  const char* name() const override { return "quantize"; }
  const char* summary() const override { return "write a model with its tensors in another type"; }

  void declare(Arguments& args) override {
    args.option("MODEL", model_path_, "GGUF file to read").required();
    args.option("OUT", out_, "GGUF file to write").required();
    args.option("TYPE", type_, "one of: " + recipe_names()).required();
    add_option(args, *find_option("threads"));
    add_json(args, "report errors as JSON too");
  }

  Result<int> run() override {
    LINNET_TRY(const Recipe recipe, recipe_by_name(type_));
    LINNET_TRY(const Gguf in, Gguf::open(model_path_));
    LINNET_TRY(Writer out, Writer::create(out_, in.alignment()));
    for (const Value& value : in.values()) {
      if (value.key == kChecksumKey || value.key == "general.alignment" || value.key.starts_with("split.")) continue;
      out.copy(value);
    }
    out.set("general.file_type", recipe.file_type());
    out.set("general.quantization_version", uint32_t{2});
    LINNET_TRY(Quantizer quantizer, Quantizer::create(static_cast<int32_t>(options_.threads)));
    LINNET_TRY(const std::vector<Type> types, tensor_types(in, recipe));
    for (size_t i = 0; i < types.size(); ++i) {
      const Tensor& t = in.tensors()[i];
      LINNET_CHECK(out.declare(t.name, types[i], std::span(t.dims).first(t.n_dims)));
    }
    uint64_t written = 0;
    Progress progress("quantizing");
    for (size_t i = 0; i < types.size(); ++i) {
      const Tensor& t = in.tensors()[i];
      LINNET_CHECK(quantizer.convert(t, types[i], out, [&](uint64_t bytes) {
        written += bytes;
        progress.update(static_cast<double>(written) / static_cast<double>(in.file_bytes()));
        return !interrupted();
      }));
    }
    LINNET_CHECK(out.finish());
    return kDone;
  }

 private:
  std::string out_, type_;
};

}  // namespace

std::unique_ptr<Command> make_quantize() { return std::make_unique<Quantize>(); }

}  // namespace linnet

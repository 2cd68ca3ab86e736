// linnet quantize: a model file with its tensors in other types, and how much they lost.
#include <cstdio>
#include <optional>

#include "gguf/base/json.h"
#include "gguf/codec.h"
#include "gguf/recipes.h"
#include "tools/commands.h"
#include "tools/likelihood.h"
#include "tools/quantizer.h"

namespace linnet {
namespace {

struct Row {
  const Tensor* tensor;
  Type type;
  bool weighed;
  QuantizationError error;
};

double bits(Type type) {
  const TypeInfo& info = *type_info(type);
  return 8.0 * static_cast<double>(info.block_bytes) / static_cast<double>(info.block_values);
}

class Quantize : public Command {
 public:
  Quantize() { options_.kv_type = "f32"; }
  const char* name() const override { return "quantize"; }
  const char* summary() const override { return "write a model with its tensors in another type"; }

  void declare(Arguments& args) override {
    args.option("MODEL", model_path_, "GGUF file to read").required();
    args.option("OUT", out_, "GGUF file to write").required();
    args.option("TYPE", type_, "one of: " + recipe_names()).required();
    args.option("--imatrix", imatrix_, "weigh errors by this importance matrix (linnet imatrix makes one)");
    args.flag("--report", report_, "print what each tensor became and lost");
    args.option("-p,--prompt", text_, "report the perplexity of this text before and after; - reads standard input");
    for (const char* option : {"threads", "ctx_size"}) add_option(args, *find_option(option));
    add_json(args, "print the report as one JSON object");
  }

  Result<int> run() override {
    LINNET_TRY(const Recipe recipe, recipe_by_name(type_));
    LINNET_TRY(const Gguf in, Gguf::open(model_path_));
    std::optional<ImportanceMatrix> importance;
    if (!imatrix_.empty()) {
      LINNET_TRY(importance, ImportanceMatrix::read(imatrix_));
    } else if (recipe.wants_importance) {
      fmt::print(stderr, "note: models in {} are hardly usable without --imatrix\n", recipe.name);
    }
    std::optional<Likelihood> before, after;
    std::string text;
    if (!text_.empty()) {
      LINNET_TRY(text, text_argument(text_));
      LINNET_TRY(before, likelihood(model_path_, text));
    }
    LINNET_TRY(std::vector<Row> rows, choose_types(in, recipe, importance.has_value()));
    LINNET_CHECK(convert(in, recipe, importance ? &*importance : nullptr, rows));
    if (before) { LINNET_TRY(after, likelihood(out_, text)); }
    if (interrupted()) return kInterrupted;
    if (json_) {
      LINNET_CHECK(write_stdout(as_json(recipe, rows, before, after)));
    } else {
      print(rows, before, after);
    }
    return kDone;
  }

 private:
  // An error names the tensor whose type cannot be read.
  static Result<std::vector<Row>> choose_types(const Gguf& file, const Recipe& recipe, bool importance) {
    RecipeModel model = recipe_model(file);
    model.importance = importance;
    std::vector<Row> rows;
    for (const Tensor& t : file.tensors()) {
      const Type type = recipe.type_for(t.name, layer_of(t.name), t.dims[0], t.n_dims, model);
      if (type != t.type && !codec(t.type))
        return fail(Code::gguf_tensor_type_unsupported,
                    "tensor {} has type {}, which cannot be read; start from a file in F32, F16 or BF16", t.name,
                    type_info(t.type)->name);
      rows.push_back({&t, type, false, {}});
    }
    return rows;
  }

  Status convert(const Gguf& in, const Recipe& recipe, const ImportanceMatrix* importance, std::vector<Row>& rows) {
    LINNET_TRY(Writer out, Writer::create(out_, in.alignment()));
    for (const Value& value : in.values()) {
      if (value.key == kChecksumKey || value.key == "general.alignment" || value.key.starts_with("split.")) continue;
      out.copy(value);
    }
    out.set("general.file_type", recipe.file_type);
    out.set("general.quantization_version", uint32_t{2});
    for (const Row& row : rows)
      LINNET_CHECK(out.declare(row.tensor->name, row.type, std::span(row.tensor->dims).first(row.tensor->n_dims)));
    LINNET_TRY(Quantizer quantizer, Quantizer::create(static_cast<int32_t>(options_.threads), importance));
    uint64_t done = 0;
    Progress progress("quantizing");
    for (Row& row : rows) {
      LINNET_TRY(row.error, quantizer.convert(*row.tensor, row.type, out, [&](uint64_t bytes) {
        done += bytes;
        progress.update(static_cast<double>(done) / static_cast<double>(in.file_bytes()));
        return !interrupted();
      }));
      row.weighed = quantizer.weighed();
    }
    return out.finish();
  }

  Result<Likelihood> likelihood(const std::string& path, const std::string& text) const {
    LINNET_TRY(const auto model, Model::load(path, {.kv_type = KvType::f32}));
    LINNET_TRY(const auto engine, make_engine(model));
    LINNET_TRY(const auto tokens, model->tokenizer().encode(text, {}));
    return score_text(*engine, *model, tokens, {std::min(model->context_for(options_.ctx_size), model->facts.context)});
  }

  struct Total {
    double bytes_before = 0, bytes_after = 0;
    QuantizationError error;
    double bits() const { return 8 * bytes_after / static_cast<double>(error.values); }
  };
  static Total total(const std::vector<Row>& rows) {
    Total sum;
    for (const Row& r : rows) {
      const auto values = static_cast<double>(r.error.values);
      sum.bytes_before += values * linnet::bits(r.tensor->type) / 8;
      sum.bytes_after += values * linnet::bits(r.type) / 8;
      sum.error.add(r.error);
    }
    return sum;
  }

  void print(const std::vector<Row>& rows, const std::optional<Likelihood>& before,
             const std::optional<Likelihood>& after) const {
    if (report_) {
      fmt::print("{:32} {:>20} {:>8} {:>8} {:>6} {:>10} {:>10}\n", "tensor", "shape", "from", "to", "bits", "error",
                 "largest");
      for (const Row& r : rows)
        fmt::print(
            "{:32} {:>20} {:>8} {:>8} {:>6.2f} {:>10.3g} {:>10.3g}{}\n", r.tensor->name,
            fmt::format("{}", fmt::join(r.tensor->dims.begin(), r.tensor->dims.begin() + r.tensor->n_dims, " x ")),
            type_info(r.tensor->type)->name, type_info(r.type)->name, linnet::bits(r.type), r.error.relative(),
            r.error.largest, r.weighed ? "  weighed" : "");
    }
    const Total sum = total(rows);
    fmt::print("{}: {:.1f} MB instead of {:.1f} MB, {:.2f} bits a weight, relative error {:.3g}\n", out_,
               sum.bytes_after / 1e6, sum.bytes_before / 1e6, sum.bits(), sum.error.relative());
    if (before && after)
      fmt::print("perplexity {:.4f} +- {:.4f} before, {:.4f} +- {:.4f} after ({:+.2f} %), over {} tokens\n",
                 before->perplexity(), before->perplexity_error(), after->perplexity(), after->perplexity_error(),
                 100 * (after->perplexity() / before->perplexity() - 1), after->count);
  }

  std::string as_json(const Recipe& recipe, const std::vector<Row>& rows, const std::optional<Likelihood>& before,
                      const std::optional<Likelihood>& after) const {
    const Total sum = total(rows);
    JsonWriter w;
    w.begin_object().member("file", out_).member("recipe", recipe.name);
    w.member("bytes_before", static_cast<int64_t>(sum.bytes_before));
    w.member("bytes_after", static_cast<int64_t>(sum.bytes_after));
    w.member("bits_per_weight", sum.bits()).member("relative_error", sum.error.relative());
    w.key("tensors").begin_array();
    for (const Row& r : rows) {
      w.begin_object().member("name", r.tensor->name).key("shape").begin_array();
      for (uint32_t d = 0; d < r.tensor->n_dims; ++d) w.value(r.tensor->dims[d]);
      w.end_array().member("from", type_info(r.tensor->type)->name).member("to", type_info(r.type)->name);
      w.member("bits", linnet::bits(r.type)).member("relative_error", r.error.relative());
      w.member("largest_error", r.error.largest).member("importance", r.weighed).end_object();
    }
    w.end_array();
    if (before && after) {
      w.key("perplexity").begin_object().member("tokens", after->count);
      w.member("before", before->perplexity()).member("before_standard_error", before->perplexity_error());
      w.member("after", after->perplexity()).member("after_standard_error", after->perplexity_error()).end_object();
    }
    return w.end_object().text() + "\n";
  }

  std::string out_, type_, imatrix_, text_;
  bool report_ = false;
};

}  // namespace

std::unique_ptr<Command> make_quantize() { return std::make_unique<Quantize>(); }

}  // namespace linnet

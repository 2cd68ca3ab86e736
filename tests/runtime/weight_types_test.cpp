// Models in every weight type: as the model that has the values of its blocks in F32, and the same to the bit on every
// backend and in batches of any size.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>

#include "gguf/codec.h"
#include "gguf/formats/formats.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "tests/gguf/temp_folder.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/llama_file.h"
#include "tests/runtime/relative_error.h"

namespace linnet {
namespace {

using Chosen = std::function<bool(const Tensor&)>;

// Writes the model with the chosen tensors in `type`, or, widened, with what they then hold in F32.
Status write_as(const Gguf& model, const Chosen& chosen, Type type, bool widened, const std::string& path) {
  LINNET_TRY(Writer writer, Writer::create(path));
  for (const Value& v : model.values()) writer.copy(v);
  const auto stored = [&](const Tensor& t) { return !chosen(t) ? t.type : widened ? Type::f32 : type; };
  for (const Tensor& t : model.tensors())
    LINNET_CHECK(writer.declare(t.name, stored(t), std::span(t.dims).first(t.n_dims)));
  for (const Tensor& t : model.tensors()) {
    std::vector<std::byte> data(t.data, t.data + t.bytes);
    if (chosen(t)) {
      std::vector<float> values(static_cast<size_t>(t.dims[0] * t.rows()));
      const auto n = static_cast<int64_t>(values.size());
      codec(t.type)->decode(t.data, values.data(), n);
      data.resize(static_cast<size_t>(row_bytes(*type_info(type), n)));
      LINNET_CHECK(encode_row(type, values.data(), data.data(), n));
      if (widened) {
        codec(type)->decode(data.data(), values.data(), n);
        const auto bytes = std::as_bytes(std::span(values));
        data.assign(bytes.begin(), bytes.end());
      }
    }
    LINNET_CHECK(writer.write(data));
  }
  return writer.finish();
}

std::vector<float> logits_of(const std::string& path, const Kernels& k, int64_t batch,
                             const std::vector<int32_t>& tokens) {
  const auto model = Model::load(path, {.kv_type = KvType::f32});
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return {};
  EXPECT_TRUE((*model)->warnings.empty()) << (*model)->warnings.front();
  const auto engine =
      make_engine(*model, {.forward = {.threads = 2, .backend = k.name}, .context = 256, .batch_tokens = batch});
  if (!engine) return {};
  EXPECT_STREQ(engine->forward().kernels().name, k.name);
  const auto logits = engine->logits(tokens, true);
  EXPECT_TRUE(logits) << logits.error().message;
  return logits ? *logits : std::vector<float>{};
}

// The median over the rows: activations rounded to 8 bits can send a row to another expert, which is no error.
double row_error(const std::vector<float>& logits, const std::vector<float>& expected, size_t rows) {
  if (logits.size() != expected.size() || logits.empty()) return std::nan("");
  const auto width = static_cast<int64_t>(logits.size() / rows);
  std::vector<double> errors;
  for (auto a = logits.begin(), b = expected.begin(); a != logits.end(); a += width, b += width)
    errors.push_back(relative_l2({a, a + width}, {b, b + width}));
  std::sort(errors.begin(), errors.end());
  return errors[rows / 2];
}

void check(const Gguf& model, const Chosen& chosen, Type type, const std::vector<int32_t>& tokens) {
  const TempFolder folder;
  const std::string path = folder.path("model.gguf"), wide = folder.path("wide.gguf");
  for (const bool widened : {false, true}) {
    const Status written = write_as(model, chosen, type, widened, widened ? wide : path);
    ASSERT_TRUE(written) << written.error().message;
  }
  std::vector<float> first;
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    const Kernels& k = *list.items[i];
    if (!k.supported()) continue;
    for (const int64_t batch : {1, 96}) {
      const std::vector<float> logits = logits_of(path, k, batch, tokens);
      if (first.empty()) first = logits;
      ASSERT_FALSE(logits.empty());
      ASSERT_EQ(logits.size(), first.size());
      EXPECT_EQ(std::memcmp(logits.data(), first.data(), first.size() * sizeof(float)), 0)
          << type_info(type)->name << " on " << k.name << ", batch " << batch;
    }
  }
  const double error = row_error(first, logits_of(wide, *list.items[list.count - 1], 96, tokens), tokens.size());
  std::printf("%-7s relative l2 error of a row %.1e against its values in F32\n", type_info(type)->name.data(), error);
  // In units of 256 normal values 8 bits round by 0.7 %, of which a row meets about nine (measured: 1.5 to 2.4 %).
  EXPECT_TRUE(error <= 4e-2) << type_info(type)->name << ": " << error;
}

// Every matrix, the embedding too. What is left is the rounding of activations to 8 bits.
TEST(WeightTypes, EveryTypeRunsALlama) {
  const std::string bytes =
      random_llama(
          {.layers = 1, .dim = 256, .heads = 4, .k_dim = 64, .v_dim = 64, .ffn = 256, .vocab = 260, .rope_dims = 64})
          .encode();
  const auto model = Gguf::parse(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(model) << model.error().message;
  int types = 0, formats = 0;
  // With reduced counts every fourth: the small types take seconds to encode under a sanitizer.
  const int stride = test_count(10) == 10 ? 1 : 4;
  for_each_format([&]<class F>() {
    if (formats++ % stride != 0) return;
    check(
        *model, [](const Tensor& t) { return t.n_dims == 2; }, F::type, random_prompt(24, 3, 260));
    ++types;
  });
  std::printf("%d types\n", types);
}

// gpt-oss is published with experts in MXFP4 and everything else in other types.
TEST(WeightTypes, ExpertsOfGptOss) {
  const auto path = shared_data("architectures/tiny-gpt-oss.gguf");
  if (!path) GTEST_SKIP() << "no shared reference data: set LINNET_SHARED_DATA";
  const auto model = Gguf::open(*path);
  ASSERT_TRUE(model) << model.error().message;
  int experts = 0;
  for (const Tensor& t : model->tensors()) experts += t.n_dims == 3;
  ASSERT_EQ(experts, 12);
  for (const Type type : {Type::mxfp4, Type::nvfp4, Type::q2_0, Type::q8_0})
    check(
        *model, [](const Tensor& t) { return t.n_dims == 3; }, type, random_prompt(50, 3));
}

}  // namespace
}  // namespace linnet

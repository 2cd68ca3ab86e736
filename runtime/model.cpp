#include "runtime/model.h"

#include <algorithm>

#include "runtime/loader.h"

namespace linnet {
namespace {

int64_t weight_size(const Weight& w) { return w.rows * row_bytes(*type_info(w.type), w.cols); }

OpenOptions open_options(const ModelOptions& options) {
  return {.check_values = options.check_values, .check_checksums = options.check_checksums, .need_tensors = true};
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const std::string& path, const ModelOptions& options) {
  LINNET_TRY(Gguf file, Gguf::open(path, open_options(options)));
  return Loader::load(std::move(file), options);
}

Result<std::shared_ptr<const Model>> Model::load(std::span<const std::byte> bytes, const ModelOptions& options) {
  LINNET_TRY(Gguf file, Gguf::parse(bytes, open_options(options)));
  return Loader::load(std::move(file), options);
}

uint64_t Model::weight_bytes() const {
  uint64_t sum = 0;
  for (const Tensor& t : file_.tensors()) sum += t.bytes;
  return sum;
}

void Model::for_each_matrix(const std::function<void(const Weight&, double share)>& visit) const {
  const double used =
      facts.experts.count ? static_cast<double>(facts.experts.used) / static_cast<double>(facts.experts.count) : 0;
  for (const LayerWeights& l : layers) {
    for (const Linear* m : {&l.q,
                            &l.k,
                            &l.v,
                            &l.o,
                            &l.latent.q_a,
                            &l.latent.kv_a,
                            &l.latent.k_rope,
                            &l.latent.kv_b,
                            &l.recurrent.x,
                            &l.recurrent.z,
                            &l.recurrent.dt_low,
                            &l.recurrent.b,
                            &l.recurrent.c,
                            &l.recurrent.dt,
                            &l.recurrent.out,
                            &l.gate,
                            &l.up,
                            &l.down,
                            &l.shared_gate,
                            &l.router})
      if (m->w.data) visit(m->w, 1);
    for (const auto* heads : {&l.latent.k_b, &l.latent.v_b})
      for (const Linear& m : *heads) visit(m.w, 1);
    for (const auto* experts : {&l.expert_gate, &l.expert_up, &l.expert_down})
      for (const Linear& m : *experts) visit(m.w, used);
  }
  if (output.w.data) visit(output.w, 1);
}

int64_t Model::context_for(int64_t wish) const {
  if (wish == 0) wish = facts.context;
  return position_embd.data ? std::min(wish, position_embd.rows) : wish;
}

uint64_t Model::bytes_per_token() const {
  double sum = static_cast<double>(facts.dim * 4 * (1 + 2 * facts.layers));  // the norms
  for_each_matrix([&](const Weight& w, double share) { sum += share * static_cast<double>(weight_size(w)); });
  return static_cast<uint64_t>(sum);
}

uint64_t Model::multiplications_per_token() const {
  double sum = 0;
  for_each_matrix([&](const Weight& w, double share) { sum += share * static_cast<double>(w.rows * w.cols); });
  return static_cast<uint64_t>(sum);
}

}  // namespace linnet

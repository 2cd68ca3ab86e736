// A runtime's models: loading, hot swap, unloading, and memory.
#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "capi/context_impl.h"
#include "capi/plan.h"
#include "gguf/base/aligned.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"
#include "runtime/embedder.h"

namespace linnet {
namespace {

constexpr int64_t kHardWaitMs = 600000;  // for cancelled requests: one step each, however slow the machine

}  // namespace

// With what fits of its options into the memory that there is.
Status Context::serve(LoadedModel& loaded, std::shared_ptr<const Model> model) const {
  const Options& options = loaded.layers.options();
  EngineOptions engine = engine_options(options);
  uint64_t others = 0;
  {
    const std::lock_guard lock(mutex_);
    engine.custom_samplers = samplers_;
    for (const auto& [id, other] : models_) others += other.leaving ? 0 : other.plan.total();
  }
  for (const std::string& warning : model->warnings) log().log(LogLevel::warning, "MODEL", "{}", warning);
  LINNET_TRY(const uint64_t available, os::available_memory());
  std::vector<std::string> remarks;
  LINNET_TRY(engine, fit_to_memory(model, engine, memory_limit(options, available, others), remarks));
  for (const std::string& remark : remarks) log().log(LogLevel::warning, "MEM", "{}", remark);
  LINNET_TRY(loaded.plan, plan_memory(model, engine));
  LINNET_TRY(loaded.served, ServedModel::create(std::move(model), options.chat_template, engine));
  if (const Status can = loaded.served->engine->forward().can_shift(); options.context_shifting && !can)
    log().log(LogLevel::info, "MEM", "texts end with the context: {}", can.error().message);
  if (loaded.served->format.foreign()) {
    log().log(LogLevel::warning, "MODEL",
              "the model has no chat template and no tokens of ChatML, which is used: it was hardly made to chat");
  }
  return {};
}

int64_t Context::budget_mb() const {
  int64_t least = layers_.options().max_memory_mb;
  if (least > 0) return least;
  for (const auto& [id, m] : models_) {
    const int64_t own = m.layers.options().max_memory_mb;
    if (own > 0 && (least == 0 || own < least)) least = own;
  }
  return least;
}

// The ladder: the caches of all models go first, then what resting sessions have computed (it is computed again when
// they go on), then steps become smaller. Looked at before a request, ten times a second at most.
void Context::relieve_pressure() {
  constexpr int64_t kEveryMs = 100, kSmallBatch = 64;
  std::vector<std::shared_ptr<ServedModel>> models;
  {
    const std::lock_guard lock(pressure_mutex_);
    if (now_ms() - pressure_seen_ms_ < kEveryMs) return;
    pressure_seen_ms_ = now_ms();
  }
  uint64_t weights = 0;
  int64_t budget = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, m] : models_) models.push_back(m.served);
    budget = budget_mb();
  }
  const Options& o = layers_.options();
  const auto available = os::available_memory(), total = os::total_memory();
  if (!available || !total) return;
  double used = static_cast<double>(*total - std::min(*available, *total)), whole = static_cast<double>(*total);
  if (budget > 0) {
    used = 0;
    for (const auto& m : models) {
      const EngineStats stats = m->engine->stats();
      weights += m->model->weight_bytes();
      used += static_cast<double>(stats.kv_bytes + stats.workspace_bytes);
    }
    used += static_cast<double>(weights);
    whole = static_cast<double>(budget) * 1048576;
  }
  const auto over = static_cast<int64_t>(used - o.memory_pressure_threshold * whole);
  const std::lock_guard lock(pressure_mutex_);
  if (over <= 0) {
    if (std::exchange(small_batches_, false)) {
      for (const auto& m : models) m->engine->limit_batch(std::numeric_limits<int64_t>::max());
      log().log(LogLevel::info, "MEM", "memory is there again: steps have their full size");
    }
    return;
  }
  int64_t released = 0;
  for (const bool conversations : {false, true}) {
    for (const auto& m : models) {
      if (released < over) released += m->engine->release_memory(over - released, conversations);
    }
  }
  if (released < over && o.dynamic_batch_size && !std::exchange(small_batches_, true)) {
    for (const auto& m : models) m->engine->limit_batch(kSmallBatch);
    log().log(LogLevel::warning, "MEM", "memory is short: steps have at most {} rows", kSmallBatch);
  }
  log().event(
      LogLevel::warning, "MEM", "memory is short",
      {{"used_bytes", used}, {"limit_bytes", o.memory_pressure_threshold * whole}, {"released_bytes", released}});
}

namespace {

// A model in memory of its own. It reads from the bytes as long as it lives, and its tensors are aligned in them.
Result<std::shared_ptr<const Model>> model_in_memory(std::span<const std::byte> bytes, KvType kv_type) {
  struct Both {
    Aligned<std::byte> bytes;
    std::shared_ptr<const Model> model;
  };
  const auto both = std::make_shared<Both>();
  LINNET_TRY(both->bytes, Aligned<std::byte>::make(static_cast<int64_t>(bytes.size())));
  std::copy(bytes.begin(), bytes.end(), both->bytes.data());
  LINNET_TRY(both->model,
             Model::load(std::span<const std::byte>(both->bytes.data(), bytes.size()), {.kv_type = kv_type}));
  return std::shared_ptr<const Model>(both, both->model.get());
}

}  // namespace

Result<Context::LoadedModel> Context::open_model(const std::string& path, std::string_view config) {
  const auto begin = std::chrono::steady_clock::now();
  LoadedModel loaded{.path = path, .config = std::string(config)};
  LINNET_TRY(loaded.layers, read_layer(layers_, ConfigLayer::model, config));
  const Options& options = loaded.layers.options();
  LINNET_TRY(const KvType kv_type, kv_type_of(options));
  std::shared_ptr<const Model> model;
  if (options.use_mmap) {
    LINNET_TRY(model, Model::load(path, {.kv_type = kv_type}));
  } else {
    LINNET_TRY(const os::Mapping file, os::Mapping::open(path));
    LINNET_TRY(model, model_in_memory(file.bytes(), kv_type));
  }
  if (options.use_mlock) {
    Status locked;
    for (const Tensor& tensor : model->file().tensors()) {
      if (locked) locked = os::lock_memory({tensor.data, static_cast<size_t>(tensor.bytes)});
    }
    if (!locked) log().log(LogLevel::warning, "MEM", "use_mlock: {}", locked.error().message);
  }
  LINNET_CHECK(serve(loaded, std::move(model)));
  loaded.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return loaded;
}

// Under no mutex. From then on nobody comes into the model `replaced` (0: none), which has to be there still.
Result<uint32_t> Context::enter_model(LoadedModel model, uint32_t replaced) {
  const Model& m = *model.served->model;
  log().event(LogLevel::info, "MODEL",
              fmt::format("loaded {}", model.path.empty() ? "a model from memory" : model.path),
              {{"architecture", m.facts.architecture},
               {"weight_bytes", m.weight_bytes()},
               {"context", model.plan.context},
               {"ms", model.load_ms}});
  const std::lock_guard lock(mutex_);
  if (closed_) return closed();
  const auto old = models_.find(replaced);
  if (replaced != 0 && (old == models_.end() || old->second.leaving)) return no_model(replaced);  // somebody was faster
  model.id = last_model_ + 1;
  models_.emplace(model.id, std::move(model));
  if (replaced != 0) old->second.leaving = true;
  ++metrics_.models_loaded;
  return ++last_model_;
}

Result<uint32_t> Context::load(const std::string& path, std::string_view config) {
  const Inside inside(*this);
  if (!inside) return closed();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, model] : models_) {
      if (!model.leaving && model.path == path && model.config == config) return id;
    }
  }
  auto model = open_model(path, config);
  if (!model) {
    log().log(LogLevel::error, "MODEL", "cannot load {}: {}", quoted(path, 256), model.error().message);
    const std::lock_guard lock(mutex_);
    ++metrics_.loads_failed;
    return model.error();
  }
  return enter_model(*std::move(model), 0);
}

Result<uint32_t> Context::load_bytes(std::span<const std::byte> bytes, std::string_view config) {
  const Inside inside(*this);
  if (!inside) return closed();
  LoadedModel loaded{.config = std::string(config)};
  LINNET_TRY(loaded.layers, read_layer(layers_, ConfigLayer::model, config));
  const Options& options = loaded.layers.options();
  LINNET_TRY(const KvType kv_type, kv_type_of(options));
  LINNET_TRY(std::shared_ptr<const Model> model, model_in_memory(bytes, kv_type));
  LINNET_CHECK(serve(loaded, std::move(model)));
  return enter_model(std::move(loaded), 0);
}

Result<uint32_t> Context::replace(uint32_t old, const std::string& path, std::string_view config) {
  const Inside inside(*this);
  if (!inside) return closed();
  {
    const std::lock_guard lock(mutex_);
    const auto it = models_.find(old);
    if (it == models_.end() || it->second.leaving) return no_model(old);
    if (it->second.path == path && it->second.config == config) return old;
  }
  log().log(LogLevel::info, "MODEL", "model {} is to be replaced by {}", old, quoted(path, 256));
  auto model = open_model(path, config);
  if (!model) {
    log().log(LogLevel::error, "MODEL", "cannot load {}: {}; model {} stays", quoted(path, 256), model.error().message,
              old);
    const std::lock_guard lock(mutex_);
    ++metrics_.loads_failed;
    return model.error();
  }
  const int64_t patience = model->layers.options().swap_timeout_ms;
  LINNET_TRY(const uint32_t id, enter_model(*std::move(model), old));
  retire(old, patience);
  const std::lock_guard lock(mutex_);
  ++metrics_.models_replaced;
  return id;
}

Status Context::unload(uint32_t model) {
  const Inside inside(*this);
  if (!inside) return closed();
  {
    const std::lock_guard lock(mutex_);
    const auto it = models_.find(model);
    if (it == models_.end() || it->second.leaving) return no_model(model);
    it->second.leaving = true;
  }
  retire(model, 0);
  return {};
}

// Takes no memory on its way: it comes to its end.
void Context::retire(uint32_t model, int64_t patience_ms) {
  const auto belongs = [&](const auto& open) { return table_.owner(open.first) == model; };
  const auto idle = [&] {
    return std::none_of(sessions_.begin(), sessions_.end(),
                        [&](const auto& open) { return belongs(open) && table_.in_use(open.first); });
  };
  std::map<uint32_t, OpenSession> ended;
  std::map<uint32_t, OpenStream> streams;
  std::map<uint32_t, LoadedModel> gone;
  std::unique_lock lock(mutex_);
  if (!left_.wait_for(lock, std::chrono::milliseconds(patience_ms), [&] { return closed_ || idle(); })) {
    lock.unlock();
    quietly([&] {
      log().log(LogLevel::warning, "MODEL", "model {} has requests that do not end within {} ms: they are cancelled",
                model, patience_ms);
    });
    lock.lock();
  }
  for (auto& open : sessions_) {
    if (belongs(open)) open.second.session->close();
  }
  left_.wait_for(lock, std::chrono::milliseconds(kHardWaitMs), idle);
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    const auto here = it++;
    if (!belongs(*here)) continue;
    take_streams(here->first, streams);
    table_.close(here->first);
    ended.insert(sessions_.extract(here));
  }
  gone.insert(models_.extract(model));
  lock.unlock();
  streams.clear();
  ended.clear();
  quietly([&] {
    log().event(LogLevel::info, "MODEL", fmt::format("model {} is unloaded", model),
                {{"path", gone.empty() ? std::string() : gone.begin()->second.path}});
  });
}

bool Context::has_model(uint32_t model) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  return it != models_.end() && !it->second.leaving;
}

Result<std::shared_ptr<ServedModel>> Context::served(uint32_t model) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  if (it == models_.end() || it->second.leaving) return no_model(model);
  return it->second.served;
}

Result<ConfigLayers> Context::model_layers(uint32_t model) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  if (it == models_.end()) return no_model(model);
  return it->second.layers;
}

Result<std::vector<float>> Context::embed(uint32_t id, std::string_view text) {
  const Inside inside(*this);
  if (!inside) return closed();
  LINNET_TRY(const std::shared_ptr<ServedModel> served, this->served(id));
  LINNET_TRY(const ConfigLayers layers, model_layers(id));
  const Model& model = *served->model;
  const Tokenizer& tokenizer = model.tokenizer();
  LINNET_TRY(const std::vector<int32_t> tokens,
             tokenizer.encode(text, {.bos = tokenizer.add_bos(), .eos = tokenizer.add_eos()}));
  if (tokens.empty()) return fail(Code::prompt_empty, "the text has no tokens, expected at least one");
  ForwardOptions options = engine_options(layers.options()).forward;
  options.max_rows = layers.options().batch_size;
  options.max_context = model.context_for(layers.options().ctx_size);
  LINNET_TRY(const auto embedder, Embedder::create(served->model, options));
  LINNET_TRY(const std::vector<float> hidden, embedder->hidden(tokens));
  const Pooling pooling = model.facts.pooling == Pooling::none ? Pooling::last : model.facts.pooling;
  std::vector<float> vector = pool(hidden, embedder->dim(), pooling);
  normalize(vector, embedder->dim());
  return vector;
}

}  // namespace linnet

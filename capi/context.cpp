#include "capi/context.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "capi/plan.h"
#include "capi/sampler_library.h"
#include "gguf/base/aligned.h"
#include "gguf/base/hash.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"
#include "runtime/embedder.h"

namespace linnet {
namespace {

constexpr int64_t kHardWaitMs = 600000;  // for cancelled requests: one step each, however slow the machine

Error closed() { return fail(Code::cancelled, "the runtime is closed"); }

Error no_model(uint32_t id) {
  return fail(Code::handle_unknown, "there is no model {}; it was never loaded, or it is unloaded", id);
}

Error no_session(uint32_t id) {
  return fail(Code::handle_unknown, "there is no session {}; it was never opened, or it is closed", id);
}

SessionLimits session_limits(const Options& o) {
  return {.max_named = o.max_sessions,
          .max_anonymous = o.max_concurrent,
          .idle_ms = o.idle_timeout_ms,
          .auto_cleanup = o.auto_cleanup};
}

LogLevel log_level_of(const Options& o) {
  if (o.log_debug || o.log_level == "debug") return LogLevel::debug;
  if (o.log_level == "info") return LogLevel::info;
  if (o.log_level == "warn") return LogLevel::warning;
  return o.log_level == "error" || o.log_level == "fatal" ? LogLevel::error : LogLevel::off;
}

LoggerOptions logger_options(const Options& o, const ContextOptions& given) {
  return {.least = log_level_of(o),
          .format = o.log_format == "json" ? LogFormat::json : LogFormat::text,
          .timestamps = o.log_timestamps,
          .colors = o.log_colors,
          .file = o.log_file,
          .max_bytes = static_cast<uint64_t>(o.log_max_mb) << 20,
          .kept_files = static_cast<uint32_t>(o.log_kept_files),
          .callback = given.log,
          .context = given.log_context};
}

// A line of the log after something is done: that it finds no memory does not undo it.
template <class Write>
void quietly(Write&& write) {
  try {
    write();
  } catch (const std::bad_alloc&) {}
}

}  // namespace

// ---- life

Result<std::unique_ptr<Context>> Context::create(std::string_view config, const ContextOptions& options) {
  ConfigLayers layers(options.fallback);
  std::vector<ConfigWarning> warnings;
  LINNET_CHECK(layers.read(ConfigLayer::backend, config, options.rules, warnings));
  auto logger = Logger::create(logger_options(layers.options(), options));
  if (!logger) {
    if (options.rules.strictness == Strictness::strict || layers.options().strict) return logger.error();
    warnings.push_back({logger.error().code, "/logging/file", logger.error().message});
    LoggerOptions plain = logger_options(layers.options(), options);
    plain.file.clear();
    logger = Logger::create(plain);
    if (!logger) return logger.error();
  }
  std::unique_ptr<Context> context(new Context(options, std::move(layers), *std::move(logger)));
  context->warn(warnings);
  LINNET_TRY(context->samplers_, custom_samplers(context->layers_.options()));
  const Options& o = context->layers_.options();
  context->log().event(LogLevel::info, "TASK", "runtime is ready",
                       {{"max_sessions", o.max_sessions},
                        {"max_concurrent", o.max_concurrent},
                        {"queue_size", o.queue_size},
                        {"log_level", o.log_level}});
  return context;
}

Context::Context(const ContextOptions& options, ConfigLayers layers, std::unique_ptr<Logger> logger)
    : rules_(options.rules),
      logger_(std::move(logger)),
      layers_(std::move(layers)),
      table_(session_limits(layers_.options())) {}

// Counts a call as long as it is under way.
class Context::Inside {
 public:
  explicit Inside(Context& context) : context_(context) {
    const std::lock_guard lock(context_.mutex_);
    open_ = !context_.closed_;
    if (open_) ++context_.inside_;
  }
  ~Inside() {
    if (!open_) return;
    const std::lock_guard lock(context_.mutex_);
    --context_.inside_;
    context_.left_.notify_all();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return open_; }

 private:
  Context& context_;
  bool open_;
};

void Context::close() {
  std::map<uint32_t, OpenSession> sessions;
  std::map<uint32_t, LoadedModel> models;
  std::map<uint32_t, OpenStream> streams;
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    for (auto& [id, open] : sessions_) open.session->close();
    left_.wait(lock, [&] { return inside_ == 0; });
    sessions.swap(sessions_);
    models.swap(models_);
    streams.swap(streams_);
  }
  streams.clear();
  sessions.clear();
  models.clear();
  quietly([&] { log().log(LogLevel::info, "TASK", "runtime is closed"); });
}

Context::~Context() = default;

int64_t Context::now_ms() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void Context::warn(std::span<const ConfigWarning> warnings) const {
  for (const ConfigWarning& warning : warnings) log().log(LogLevel::warning, "CONFIG", "{}", warning.text());
}

Result<ConfigLayers> Context::read_layer(ConfigLayers below, ConfigLayer layer, std::string_view config) const {
  std::vector<ConfigWarning> warnings;
  LINNET_CHECK(below.read(layer, config, rules_, warnings));
  warn(warnings);
  return below;
}

Status Context::add_samplers(std::function<Status(CustomSamplers& samplers)> add) {
  const Inside inside(*this);
  if (!inside) return closed();
  const std::lock_guard lock(mutex_);
  auto more = samplers_ ? std::make_shared<CustomSamplers>(*samplers_) : std::make_shared<CustomSamplers>();
  LINNET_CHECK(add(*more));
  samplers_ = std::move(more);
  return {};
}

// ---- models

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

// ---- sessions

// Under the mutex; whoever called destroys them without it, since they wait for their requests.
void Context::take_streams(uint32_t session, std::map<uint32_t, OpenStream>& taken) {
  for (auto it = streams_.begin(); it != streams_.end();) {
    const auto here = it++;
    if (here->second.session == session) taken.insert(streams_.extract(here));
  }
}

Result<uint32_t> Context::open_session(uint32_t model, std::optional<std::string_view> name, std::string_view config) {
  const Inside inside(*this);
  if (!inside) return closed();
  if (name && (!utf8_valid(*name) || name->empty() || name->find('\0') != name->npos)) {
    return fail(Code::invalid_argument, "the session's name is {}, expected UTF-8 without zero bytes, not empty",
                quoted(*name));
  }
  LINNET_TRY(const std::shared_ptr<ServedModel> served, this->served(model));
  LINNET_TRY(ConfigLayers below, model_layers(model));
  const bool configured = !config.empty();
  LINNET_TRY(ConfigLayers layers, read_layer(std::move(below), ConfigLayer::session, config));
  const std::string& tenant = layers.options().cache_salt;
  const uint64_t salt = tenant.empty() ? 0 : xxh64(std::as_bytes(std::span(tenant)));
  LINNET_TRY(std::shared_ptr<Session> session, Session::open(served, salt));
  // Everything that takes memory comes before the table changes. Those that go end without the mutex.
  std::map<uint32_t, OpenSession> fresh, evicted;
  std::map<uint32_t, OpenStream> streams;
  fresh.emplace(0, OpenSession{std::move(session), std::move(layers)});
  SessionTable::Opened opened;
  {
    const std::lock_guard lock(mutex_);
    const auto it = models_.find(model);
    if (it == models_.end() || it->second.leaving) return no_model(model);
    LINNET_TRY(opened, table_.open(model, name.value_or(""), now_ms()));
    for (const uint32_t id : opened.evicted) {
      take_streams(id, streams);
      evicted.insert(sessions_.extract(id));
    }
    auto node = fresh.extract(fresh.begin());
    if (!opened.existed) {
      node.key() = opened.id;
      sessions_.insert(std::move(node));
    } else {
      if (configured) std::swap(sessions_.at(opened.id).layers, node.mapped().layers);
      evicted.insert(std::move(node));
    }
  }
  quietly([&] {
    for (const uint32_t id : opened.evicted)
      log().log(LogLevel::info, "SESSION", "session {} made room: it was idle, or used longest ago", id);
    if (!opened.existed) {
      log().log(LogLevel::debug, "SESSION", "session {} is open with model {}, {}", opened.id, model,
                name ? quoted(*name) : "without a name");
    }
  });
  return opened.id;
}

class Context::Use {
 public:
  static Result<Use> begin(Context& context, uint32_t id) {
    const std::lock_guard lock(context.mutex_);
    if (context.closed_) return closed();
    const auto it = context.sessions_.find(id);
    if (it == context.sessions_.end()) return no_session(id);
    const auto model = context.models_.find(context.table_.owner(id));
    if (model == context.models_.end() || model->second.leaving) {
      return fail(Code::cancelled, "session {}'s model is being unloaded", id);
    }
    Use use(context, id);
    use.session = it->second.session;
    use.layers = it->second.layers;
    context.table_.begin_use(id, context.now_ms());
    ++context.inside_;
    return use;
  }
  Use(Use&& other) noexcept
      : session(std::move(other.session)),
        layers(std::move(other.layers)),
        context_(std::exchange(other.context_, nullptr)),
        id_(other.id_) {}
  ~Use() {
    if (!context_) return;
    session.reset();  // not under the mutex: it may be the last one
    const std::lock_guard lock(context_->mutex_);
    context_->table_.end_use(id_, context_->now_ms());
    --context_->inside_;
    context_->left_.notify_all();
  }

  std::shared_ptr<Session> session;
  ConfigLayers layers;

 private:
  Use(Context& context, uint32_t id) : context_(&context), id_(id) {}
  Context* context_;
  uint32_t id_;
};

Status Context::close_session(uint32_t id) {
  const Inside inside(*this);
  if (!inside) return closed();
  std::map<uint32_t, OpenSession> ended;
  std::map<uint32_t, OpenStream> streams;
  {
    std::unique_lock lock(mutex_);
    const auto it = sessions_.find(id);
    if (it == sessions_.end()) return no_session(id);
    it->second.session->close();
    // Somebody else may close it meanwhile.
    left_.wait(lock, [&] { return !table_.exists(id) || !table_.in_use(id); });
    if (!table_.exists(id)) return no_session(id);
    take_streams(id, streams);
    table_.close(id);
    ended.insert(sessions_.extract(id));
  }
  quietly([&] { log().log(LogLevel::debug, "SESSION", "session {} is closed", id); });
  return {};
}

Result<uint32_t> Context::fork_session(uint32_t id) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(std::shared_ptr<Session> copy, use.session->fork());
  std::map<uint32_t, OpenSession> fresh;
  fresh.emplace(0, OpenSession{std::move(copy), use.layers});
  const std::lock_guard lock(mutex_);
  const auto original = sessions_.find(id);
  if (original == sessions_.end()) return no_session(id);
  LINNET_TRY(const SessionTable::Opened opened, table_.open(table_.owner(id), "", now_ms()));
  auto node = fresh.extract(fresh.begin());
  node.key() = opened.id;
  sessions_.insert(std::move(node));
  return opened.id;
}

Status Context::reset_session(uint32_t id) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  return use.session->reset();
}

Status Context::save_session(uint32_t id, const std::string& path) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(const SavedSession saved, use.session->saved());
  LINNET_CHECK(write_session(path, saved));
  quietly([&] {
    log().event(LogLevel::info, "SESSION", fmt::format("session {} is saved", id),
                {{"path", path}, {"messages", saved.messages.size()}, {"page_bytes", saved.pages.size()}});
  });
  return {};
}

Status Context::resume_session(uint32_t id, const std::string& path) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(SavedSession saved, read_session(path));
  const size_t messages = saved.messages.size();
  LINNET_TRY(const bool computed, use.session->restore(std::move(saved)));
  quietly([&] {
    log().event(LogLevel::info, "SESSION", fmt::format("session {} is resumed", id),
                {{"path", path}, {"messages", messages}, {"computed", computed}});
  });
  return {};
}

Status Context::cancel(uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (closed_) return closed();
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return no_session(id);
  it->second.session->cancel();
  return {};
}

Result<Completion> Context::generate(uint32_t id, const GenerateInput& input) {
  relieve_pressure();
  LINNET_TRY(Use use, Use::begin(*this, id));
  auto result = [&]() -> Result<Completion> {
    LINNET_TRY(const ConfigLayers layers, read_layer(use.layers, ConfigLayer::request, input.config));
    const Options& options = layers.options();
    LINNET_TRY(Request request, make_request(options, {}));
    request.client = id;
    request.shift = options.context_shifting && use.session->served().engine->forward().can_shift();
    request.on_text = input.on_text;
    Session& session = *use.session;
    if (!input.tokens.empty())
      return session.complete({input.tokens.begin(), input.tokens.end()}, std::move(request), input.call);
    if (!input.raw && options.apply_chat_template)
      return session.chat(input.text, std::move(request), options.chat_template_kwargs.text, input.call);
    const Tokenizer& tokenizer = session.served().model->tokenizer();
    LINNET_TRY(std::vector<int32_t> prompt,
               tokenizer.encode(input.text, {.bos = tokenizer.add_bos(), .special = true}));
    return session.complete(std::move(prompt), std::move(request), input.call);
  }();
  count(result);
  quietly([&] { log_request(id, result); });
  return result;
}

void Context::log_request(uint32_t session, const Result<Completion>& result) const {
  if (!result) {
    log().event(LogLevel::warning, "TASK", result.error().message,
                {{"session", session}, {"code", code_name(result.error().code)}});
    return;
  }
  const Completion& c = *result;
  log().event(LogLevel::info, "PERF", "request is done",
              {{"session", session},
               {"finish", finish_reason_name(c.finish_reason)},
               {"prompt_tokens", c.prompt_tokens},
               {"cached_tokens", c.cached_tokens},
               {"tokens", c.completion_tokens},
               {"queue_ms", c.timings.queue_ms},
               {"first_token_ms", c.timings.ttft_ms},
               {"decode_ms", c.timings.decode_ms}});
  for (const std::string& note : c.notes) log().log(LogLevel::debug, "TASK", "session {}: {}", session, note);
}

void Context::count(const Result<Completion>& result) {
  const std::lock_guard lock(mutex_);
  if (result) {
    metrics_.add(*result);
  } else {
    metrics_.add(result.error());
  }
}

Result<uint32_t> Context::start_stream(uint32_t session, const GenerateInput& input) {
  const Inside inside(*this);
  if (!inside) return closed();
  struct Texts {
    std::string text, config;
    std::vector<int32_t> tokens;
  };
  const auto texts = std::make_shared<const Texts>(
      Texts{std::string(input.text), std::string(input.config), {input.tokens.begin(), input.tokens.end()}});
  const auto run = [this, session, texts, raw = input.raw](const std::function<bool(std::string_view)>& on_text,
                                                           Session::Call& call) {
    return generate(session, {.text = texts->text,
                              .tokens = texts->tokens,
                              .raw = raw,
                              .config = texts->config,
                              .on_text = on_text,
                              .call = &call});
  };
  std::shared_ptr<Session> owner;
  uint32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return no_session(session);
    for (const auto& [other, open] : streams_) {
      if (open.session == session)
        return fail(Code::busy, "session {} has a stream already ({}); finish it first", session, other);
    }
    owner = it->second.session;
    id = ++last_stream_;
    streams_[id] = {session, nullptr};
  }
  std::optional<Result<std::shared_ptr<Stream>>> stream;
  try {
    stream = Stream::start(run, [owner](Session::Call& call) { owner->cancel(call); });
  } catch (const std::bad_alloc&) { stream = Error{Code::out_of_memory, "out of memory"}; }
  const std::lock_guard lock(mutex_);
  // The session may have ended meanwhile, and the entry with it.
  const auto entry = streams_.find(id);
  if (entry == streams_.end()) return no_session(session);
  if (!*stream) {
    streams_.erase(entry);
    return stream->error();
  }
  entry->second.stream = **std::move(stream);
  return id;
}

Result<std::shared_ptr<Stream>> Context::stream(uint32_t id, bool take) {
  const std::lock_guard lock(mutex_);
  const auto it = streams_.find(id);
  if (it == streams_.end() || !it->second.stream)
    return fail(Code::handle_unknown, "there is no stream {}; it was never started, or it is finished", id);
  std::shared_ptr<Stream> stream = it->second.stream;
  if (take) streams_.erase(it);
  return stream;
}

bool Context::has_session(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  return sessions_.contains(session);
}

Result<ConfigLayers> Context::session_layers(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return no_session(session);
  return it->second.layers;
}

Result<uint32_t> Context::model_of(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  if (!sessions_.contains(session)) return no_session(session);
  return table_.owner(session);
}

}  // namespace linnet

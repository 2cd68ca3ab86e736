#include "capi/context.h"

#include <chrono>
#include <utility>

#include "capi/context_impl.h"
#include "capi/sampler_library.h"

namespace linnet {
namespace {

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

}  // namespace

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

}  // namespace linnet

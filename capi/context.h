// One runtime of capi/linnet.h: its models, sessions, log, limits and numbers. The C functions and the WASI-NN libraries
// are skins over it.
//
// Any thread may call anything. `mutex_` guards the tables and is never held while something is computed, loaded or
// called back; whoever uses a model or session holds a share of it, and closing waits until nobody is inside.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "capi/config.h"
#include "capi/logger.h"
#include "capi/metrics.h"
#include "capi/stream.h"
#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "runtime/memory_plan.h"
#include "runtime/session.h"
#include "runtime/session_table.h"
#include "sampling/custom_sampler.h"

namespace linnet {

enum class StatusTopic { queue, memory, sessions, performance, model, all, config, prometheus };

struct ContextOptions {
  Options fallback;  // defaults where they are not those of capi/options.h
  ConfigRules rules;
  void (*log)(void* context, const LogRecord& record) = nullptr;
  void* log_context = nullptr;
};

// What one request of a session is made of.
struct GenerateInput {
  std::string_view text;
  std::span<const int32_t> tokens;  // instead of `text`, when not empty: the prompt as it is
  bool raw = false;                 // `text` is the whole prompt, not the user's next message
  std::string_view config;
  std::function<bool(std::string_view text)> on_text;
  Session::Call* call = nullptr;  // to interrupt it
};

class Context {
 public:
  static Result<std::unique_ptr<Context>> create(std::string_view config, const ContextOptions& options);
  ~Context();  // after close()
  // Cancels everything and waits until nobody is inside; every later call fails.
  void close();

  Status add_samplers(std::function<Status(CustomSamplers& samplers)> add);

  // ---- models; ids count up from 1
  Result<uint32_t> load(const std::string& path, std::string_view config);
  // From bytes, which are copied.
  Result<uint32_t> load_bytes(std::span<const std::byte> bytes, std::string_view config);
  // Hot swap; see linnet_model_replace(). The old id when there is nothing to do.
  Result<uint32_t> replace(uint32_t old, const std::string& path, std::string_view config);
  Status unload(uint32_t model);
  // One vector of length 1 for a text.
  Result<std::vector<float>> embed(uint32_t model, std::string_view text);
  bool has_model(uint32_t model) const;
  Result<std::shared_ptr<ServedModel>> served(uint32_t model) const;
  Result<ConfigLayers> model_layers(uint32_t model) const;
  const ConfigLayers& layers() const { return layers_; }

  // ---- sessions; ids count up from 1
  Result<uint32_t> open_session(uint32_t model, std::optional<std::string_view> name, std::string_view config);
  Status close_session(uint32_t session);
  Result<uint32_t> fork_session(uint32_t session);
  Status reset_session(uint32_t session);
  Status save_session(uint32_t session, const std::string& path);
  Status resume_session(uint32_t session, const std::string& path);
  Status cancel(uint32_t session);
  Result<Completion> generate(uint32_t session, const GenerateInput& input);
  // The texts of `input` are copied. A session has one stream at a time.
  Result<uint32_t> start_stream(uint32_t session, const GenerateInput& input);
  // `take`: the stream leaves the table, and whoever took it finishes it.
  Result<std::shared_ptr<Stream>> stream(uint32_t id, bool take = false);
  bool has_session(uint32_t session) const;
  Result<ConfigLayers> session_layers(uint32_t session) const;
  Result<uint32_t> model_of(uint32_t session) const;

  // JSON, or Prometheus text.
  std::string status(StatusTopic topic);

  const LogSink& log() const { return logger_->sink(); }
  const ConfigRules& rules() const { return rules_; }

 private:
  struct LoadedModel {
    uint32_t id = 0;
    std::string path;    // as given
    std::string config;  // as given
    std::shared_ptr<ServedModel> served = {};
    ConfigLayers layers = ConfigLayers();
    double load_ms = 0;
    MemoryPlan plan;       // as it was loaded, with a full cache
    bool leaving = false;  // unloaded or replaced: nobody comes in any more
  };
  struct OpenSession {
    std::shared_ptr<Session> session;
    ConfigLayers layers;
  };
  struct OpenStream {
    uint32_t session = 0;
    std::shared_ptr<Stream> stream;  // null: about to start
  };
  // A session while somebody uses it.
  class Use;
  // A call that may not be inside when the context goes.
  class Inside;

  Context(const ContextOptions& options, ConfigLayers layers, std::unique_ptr<Logger> logger);
  Status serve(LoadedModel& loaded, std::shared_ptr<const Model> model) const;
  // max_memory_mb: the runtime's, else the smallest of its models'; 0: none. Under the mutex.
  int64_t budget_mb() const;
  void relieve_pressure();
  Result<LoadedModel> open_model(const std::string& path, std::string_view config);
  Result<uint32_t> enter_model(LoadedModel model, uint32_t replaced);
  Result<ConfigLayers> read_layer(ConfigLayers below, ConfigLayer layer, std::string_view config) const;
  void warn(std::span<const ConfigWarning> warnings) const;
  // Lets the sessions of a model end, for so long; then cancels them. The model is gone afterwards.
  void retire(uint32_t model, int64_t patience_ms);
  void take_streams(uint32_t session, std::map<uint32_t, OpenStream>& taken);
  int64_t now_ms() const;
  void count(const Result<Completion>& result);
  void log_request(uint32_t session, const Result<Completion>& result) const;

  // capi/status.cpp
  struct Snapshot;
  Snapshot snapshot();
  void give_hints(Snapshot& s) const;
  void write_topic(JsonWriter& w, StatusTopic topic, const Snapshot& s) const;
  void write_queue(JsonWriter& w, const Snapshot& s) const;
  void write_memory(JsonWriter& w, const Snapshot& s) const;
  void write_sessions(JsonWriter& w, const Snapshot& s) const;
  void write_performance(JsonWriter& w, const Snapshot& s) const;
  void write_models(JsonWriter& w, const Snapshot& s) const;
  std::string prometheus(const Snapshot& s) const;

  const ConfigRules rules_;
  const std::unique_ptr<Logger> logger_;
  const ConfigLayers layers_;

  mutable std::mutex mutex_;
  std::condition_variable left_;  // a use of a session, or a call, ended
  bool closed_ = false;
  int64_t inside_ = 0;
  std::map<uint32_t, LoadedModel> models_;
  uint32_t last_model_ = 0;
  SessionTable table_;
  std::map<uint32_t, OpenSession> sessions_;
  std::map<uint32_t, OpenStream> streams_;
  uint32_t last_stream_ = 0;
  std::shared_ptr<const CustomSamplers> samplers_;
  Metrics metrics_;

  std::mutex pressure_mutex_;  // one thread looks after memory
  int64_t pressure_seen_ms_ = 0;
  bool small_batches_ = false;
};

}  // namespace linnet

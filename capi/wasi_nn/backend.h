// What both WASI-NN libraries do: contexts, graphs, inputs and outputs, over capi/linnet.h. The libraries differ in
// layouts, error numbers and a few rules, which are here as settings.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "capi/config.h"
#include "capi/linnet.h"
#include "capi/options.h"

namespace linnet::wasi_nn {

// How a library wants it.
struct Rules {
  Options fallback;            // its defaults
  bool client_ranges = false;  // refuse what the clients' reference promises to refuse
  Strictness strictness = Strictness::lenient;
  bool one_model = false;  // loading another model is a hot swap
};

// What happened, before a library makes a number of it.
enum class Outcome {
  good,
  bad_argument,
  bad_encoding,
  no_model_file,
  busy,
  timeout,
  too_large,
  unsupported,
  context_full,
  prompt_too_long,
  end,
  failed,
};

// One `ctx`. Any thread.
class Backend {
 public:
  // The pointer that stands for it is its number: never an address, so that one that is gone is never mistaken for
  // another. Null when there is no memory (or the configuration is refused in strict mode).
  static void* open(std::string_view config, const Rules& rules);
  static std::shared_ptr<Backend> find(void* ctx);
  static Outcome close(void* ctx);
  // The one live context that fits. Null when none does, or several do.
  static void* only(const std::function<bool(const Backend& backend)>& fits);

  void warn(std::string_view sentence) const;  // in the log

  // An address that the last call brought: of the guest's memory, where a guest is behind it. Null before the first.
  const void* seen() const { return seen_; }
  void see(const void* address) { seen_ = address; }

  Outcome load(std::string_view path, std::string_view config, uint32_t& graph);
  Outcome load_bytes(std::string_view bytes, std::string_view config, uint32_t& graph);
  Outcome unload(uint32_t graph);
  uint32_t current_graph() const;  // the one that was loaded last, 0: none

  // `name` null: anonymous.
  Outcome open_context(uint32_t graph, const char* name, std::string_view config, uint32_t& id);
  Outcome close_context(uint32_t id);

  Outcome set_input(uint32_t id, std::string_view text);
  Outcome set_config(uint32_t id, std::string_view config);
  Outcome compute(uint32_t id);
  // A request of its own: the input and output of set_input() and compute() stay as they are.
  Outcome run(uint32_t id, std::string_view text, std::string_view config, std::string& output);
  Outcome compute_single(uint32_t id);
  Outcome fini_single(uint32_t id);
  Outcome cancel(uint32_t id);
  // Index 0: the text of the last compute() (`single`: compute_single()), 1: what is known of it, as JSON.
  Outcome output(uint32_t id, uint32_t index, bool single, std::string& text);
  Outcome status(int32_t topic, char* buffer, uint32_t size);

 private:
  // Of one execution context.
  struct Work {
    std::string input, config;
    bool has_input = false, computed = false;
    int64_t input_tokens = 0, output_tokens = 0;
    std::string text, piece, finish_reason;
    uint32_t stream = 0;
    std::mutex pulling;  // held by whoever waits for the next piece
  };

  Backend(linnet_runtime runtime, const Rules& rules) : runtime_(runtime), rules_(rules) {}
  std::shared_ptr<Work> work(uint32_t id);
  void end_stream(Work& work);
  Outcome begin_stream(uint32_t id, Work& work);
  Outcome generate(uint32_t id, std::string_view text, std::string_view config, Work& result);
  static void keep(const linnet_completion& completion, Work& work);
  static std::string metadata(const Work& work);

  const linnet_runtime runtime_;
  const Rules rules_;
  std::atomic<const void*> seen_ = nullptr;
  mutable std::mutex mutex_;
  std::mutex loading_;  // one load at a time
  uint32_t graph_ = 0;
  std::map<uint32_t, std::shared_ptr<Work>> works_;
};

// Of the host ABI (host.cpp): for guests of the standard interface.
Rules host_rules();

// The text in a configuration argument: no further than a zero byte.
std::string_view bounded(const char* text, uint32_t bytes);

}  // namespace linnet::wasi_nn

#include "capi/wasi_nn/backend.h"

#include <cstring>
#include <utility>

#include "capi/context.h"
#include "capi/registry.h"
#include "gguf/base/json.h"

namespace linnet::wasi_nn {
namespace {

Outcome outcome_of(int32_t code) {
  switch (code) {
    case LINNET_OK:
      return Outcome::good;
    case LINNET_INVALID_ARGUMENT:
    case LINNET_NOT_FOUND:
    case LINNET_CONFIGURATION:
      return Outcome::bad_argument;
    case LINNET_BUSY:
      return Outcome::busy;
    case LINNET_TIMEOUT:
      return Outcome::timeout;
    case LINNET_TOO_LARGE:
      return Outcome::too_large;
    case LINNET_UNSUPPORTED:
      return Outcome::unsupported;
    case LINNET_PROMPT_TOO_LONG:
      return Outcome::prompt_too_long;
    case LINNET_CONTEXT_FULL:
      return Outcome::context_full;
    case LINNET_END:
      return Outcome::end;
    default:
      return Outcome::failed;
  }
}

// Freed in the end, also when there is no memory to copy what it holds.
struct OwnedCompletion : linnet_completion {
  OwnedCompletion() : linnet_completion{.size = sizeof(linnet_completion)} {}
  ~OwnedCompletion() { linnet_completion_free(this); }
  OwnedCompletion(const OwnedCompletion&) = delete;
  OwnedCompletion& operator=(const OwnedCompletion&) = delete;
};

// The live contexts. Like the registry of runtimes, it lives until the process ends.
struct Contexts {
  std::mutex mutex;
  std::map<uintptr_t, std::shared_ptr<Backend>> all;
};

Contexts& contexts() {
  static auto* const instance = new Contexts();
  return *instance;
}

}  // namespace

std::string_view bounded(const char* text, uint32_t bytes) {
  return text ? std::string_view(text, strnlen(text, bytes)) : std::string_view();
}

void* Backend::open(std::string_view config, const Rules& rules) {
  ContextOptions options;
  options.fallback = rules.fallback;
  options.rules.client_ranges = rules.client_ranges;
  options.rules.strictness = rules.strictness;
  auto context = Context::create(config, options);
  if (!context) return nullptr;
  const auto runtime = Registry::instance().add(*std::move(context), nullptr);
  if (!runtime) return nullptr;
  try {
    std::shared_ptr<Backend> backend(new Backend(*runtime, rules));
    const std::lock_guard lock(contexts().mutex);
    contexts().all.emplace(*runtime, std::move(backend));
  } catch (const std::bad_alloc&) {
    linnet_runtime_destroy(*runtime, nullptr);
    return nullptr;
  }
  return reinterpret_cast<void*>(uintptr_t{*runtime});
}

std::shared_ptr<Backend> Backend::find(void* ctx) {
  const std::lock_guard lock(contexts().mutex);
  const auto it = contexts().all.find(reinterpret_cast<uintptr_t>(ctx));
  return it == contexts().all.end() ? nullptr : it->second;
}

Outcome Backend::close(void* ctx) {
  std::shared_ptr<Backend> backend;
  {
    const std::lock_guard lock(contexts().mutex);
    const auto it = contexts().all.find(reinterpret_cast<uintptr_t>(ctx));
    if (it == contexts().all.end()) return Outcome::bad_argument;
    backend = std::move(it->second);
    contexts().all.erase(it);
  }
  return outcome_of(linnet_runtime_destroy(backend->runtime_, nullptr));
}

void* Backend::only(const std::function<bool(const Backend& backend)>& fits) {
  uintptr_t found = 0;
  const std::lock_guard lock(contexts().mutex);
  for (const auto& [ctx, backend] : contexts().all) {
    if (!fits(*backend)) continue;
    if (found != 0) return nullptr;
    found = ctx;
  }
  return reinterpret_cast<void*>(found);
}

void Backend::warn(std::string_view sentence) const {
  if (const auto context = Registry::instance().find(runtime_))
    (*context)->log().log(LogLevel::warning, "CONFIG", "{}", sentence);
}

// ---- graphs

uint32_t Backend::current_graph() const {
  const std::lock_guard lock(mutex_);
  return graph_;
}

Outcome Backend::load(std::string_view path, std::string_view config, uint32_t& graph) {
  const std::lock_guard loading(loading_);
  const uint32_t old = current_graph();
  uint32_t loaded = 0;
  const int32_t code =
      rules_.one_model && old != 0
          ? linnet_model_replace(runtime_, old, path.data(), path.size(), config.data(), config.size(), &loaded,
                                 nullptr)
          : linnet_model_load(runtime_, path.data(), path.size(), config.data(), config.size(), &loaded, nullptr);
  if (code == LINNET_NOT_FOUND) return Outcome::no_model_file;
  if (code != LINNET_OK) return outcome_of(code);
  const std::lock_guard lock(mutex_);
  graph = graph_ = loaded;
  return Outcome::good;
}

Outcome Backend::load_bytes(std::string_view bytes, std::string_view config, uint32_t& graph) {
  const std::lock_guard loading(loading_);
  const uint32_t old = current_graph();
  uint32_t loaded = 0;
  const int32_t code =
      linnet_model_load_bytes(runtime_, bytes.data(), bytes.size(), config.data(), config.size(), &loaded, nullptr);
  if (code != LINNET_OK) return outcome_of(code);
  if (rules_.one_model && old != 0) linnet_model_unload(runtime_, old, nullptr);
  const std::lock_guard lock(mutex_);
  graph = graph_ = loaded;
  return Outcome::good;
}

Outcome Backend::unload(uint32_t graph) {
  const std::lock_guard loading(loading_);
  const Outcome outcome = outcome_of(linnet_model_unload(runtime_, graph, nullptr));
  const std::lock_guard lock(mutex_);
  if (outcome == Outcome::good && graph_ == graph) graph_ = 0;
  return outcome;
}

// ---- execution contexts

Outcome Backend::open_context(uint32_t graph, const char* name, std::string_view config, uint32_t& id) {
  // What takes memory comes first, so that no session is left without its work.
  std::map<uint32_t, std::shared_ptr<Work>> fresh;
  fresh.emplace(0, std::make_shared<Work>());
  uint32_t session = 0;
  const int32_t code = linnet_session_open(runtime_, graph, name, name ? std::strlen(name) : 0, config.data(),
                                           config.size(), &session, nullptr);
  if (code != LINNET_OK) return outcome_of(code);
  const std::lock_guard lock(mutex_);
  auto node = fresh.extract(fresh.begin());
  node.key() = id = session;
  works_.insert(std::move(node));  // unless it is there
  return Outcome::good;
}

Outcome Backend::close_context(uint32_t id) {
  fini_single(id);
  const Outcome outcome = outcome_of(linnet_session_close(runtime_, id, nullptr));
  const std::lock_guard lock(mutex_);
  works_.erase(id);
  return outcome;
}

// Null for an execution context that is not alive: it may have been closed, or made room for another.
std::shared_ptr<Backend::Work> Backend::work(uint32_t id) {
  const auto context = Registry::instance().find(runtime_);
  const bool alive = context && (*context)->has_session(id);
  const std::lock_guard lock(mutex_);
  const auto it = works_.find(id);
  if (it == works_.end()) return nullptr;
  if (alive) return it->second;
  works_.erase(it);
  return nullptr;
}

// ---- generation

Outcome Backend::generate(uint32_t id, std::string_view text, std::string_view config, Work& result) {
  linnet_request request = {.size = sizeof(linnet_request)};
  request.input = text.data();
  request.input_bytes = text.size();
  request.config = config.data();
  request.config_bytes = config.size();
  OwnedCompletion completion;
  const int32_t code = linnet_generate(runtime_, id, &request, &completion, nullptr);
  if (code != LINNET_OK) return outcome_of(code);
  keep(completion, result);
  return result.finish_reason == "context_full" ? Outcome::context_full : Outcome::good;
}

void Backend::keep(const linnet_completion& completion, Work& work) {
  work.text.assign(completion.text, completion.text_bytes);
  work.finish_reason = completion.finish_reason;
  work.input_tokens = completion.prompt_tokens;
  work.output_tokens = static_cast<int64_t>(completion.token_count);
  work.computed = true;
}

Outcome Backend::set_input(uint32_t id, std::string_view text) {
  const auto work = this->work(id);
  if (!work) return Outcome::bad_argument;
  std::string input(text);  // at once: a guest's threads may write where it lies
  // Guests ask for the number of tokens before they compute.
  const auto context = Registry::instance().find(runtime_);
  if (!context) return Outcome::bad_argument;
  const auto model = (*context)->model_of(id);
  if (!model) return Outcome::bad_argument;
  size_t tokens = 0;
  const int32_t code = linnet_tokenize(runtime_, *model, input.data(), input.size(),
                                       LINNET_TOKENIZE_SPECIAL | LINNET_TOKENIZE_BOS, nullptr, 0, &tokens, nullptr);
  if (code != LINNET_OK) return outcome_of(code);
  end_stream(*work);
  const std::lock_guard lock(mutex_);
  work->input = std::move(input);
  work->has_input = true;
  work->computed = false;
  work->text.clear();
  work->piece.clear();
  work->finish_reason.clear();
  work->input_tokens = static_cast<int64_t>(tokens);
  work->output_tokens = 0;
  return Outcome::good;
}

Outcome Backend::set_config(uint32_t id, std::string_view config) {
  const auto work = this->work(id);
  if (!work) return Outcome::bad_argument;
  const std::lock_guard lock(mutex_);
  work->config = config;
  return Outcome::good;
}

Outcome Backend::compute(uint32_t id) {
  const auto work = this->work(id);
  if (!work) return Outcome::bad_argument;
  std::string input, config;
  {
    const std::lock_guard lock(mutex_);
    if (!work->has_input) return Outcome::bad_argument;
    input = work->input;
    config = work->config;
  }
  Work result;
  const Outcome outcome = generate(id, input, config, result);
  if (!result.computed) return outcome;
  const std::lock_guard lock(mutex_);
  work->text = std::move(result.text);
  work->finish_reason = std::move(result.finish_reason);
  work->input_tokens = result.input_tokens;
  work->output_tokens = result.output_tokens;
  work->computed = true;
  return outcome;
}

Outcome Backend::run(uint32_t id, std::string_view text, std::string_view config, std::string& output) {
  if (!work(id)) return Outcome::bad_argument;
  Work result;
  const Outcome outcome = generate(id, text, config, result);
  output = std::move(result.text);
  return result.computed ? Outcome::good : outcome;
}

// Under the mutex.
Outcome Backend::begin_stream(uint32_t id, Work& work) {
  if (work.stream != 0) return Outcome::good;
  if (!work.has_input) return Outcome::bad_argument;
  linnet_request request = {.size = sizeof(linnet_request)};
  request.input = work.input.data();
  request.input_bytes = work.input.size();
  request.config = work.config.data();
  request.config_bytes = work.config.size();
  const int32_t code = linnet_stream_start(runtime_, id, &request, &work.stream, nullptr);
  if (code == LINNET_OK) work.text.clear();
  return outcome_of(code);
}

Outcome Backend::compute_single(uint32_t id) {
  const auto work = this->work(id);
  const auto context = Registry::instance().find(runtime_);
  if (!work || !context) return Outcome::bad_argument;
  const std::lock_guard pulling(work->pulling);
  uint32_t stream = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const Outcome begun = begin_stream(id, *work); begun != Outcome::good) return begun;
    stream = work->stream;
  }
  const auto held = (*context)->stream(stream);  // another thread may end it: the piece has to last until it is copied
  const char* piece = nullptr;
  size_t bytes = 0;
  const int32_t code = linnet_stream_next(runtime_, stream, &piece, &bytes, nullptr);
  if (code == LINNET_OK) {
    const std::lock_guard lock(mutex_);
    work->piece.assign(piece, bytes);
    work->text += work->piece;
    work->computed = true;
    return Outcome::good;
  }
  OwnedCompletion completion;
  const int32_t finished = linnet_stream_finish(runtime_, stream, &completion, nullptr);
  const std::lock_guard lock(mutex_);
  if (work->stream != stream) return Outcome::end;  // it was ended meanwhile
  work->stream = 0;
  work->has_input = false;  // it is used up: the next stream begins with set_input()
  work->piece.clear();
  if (finished == LINNET_OK) keep(completion, *work);
  if (code != LINNET_END) return outcome_of(code);
  return work->finish_reason == "context_full" ? Outcome::context_full : Outcome::end;
}

void Backend::end_stream(Work& work) {
  uint32_t stream = 0;
  {
    const std::lock_guard lock(mutex_);
    std::swap(stream, work.stream);
  }
  if (stream != 0) linnet_stream_finish(runtime_, stream, nullptr, nullptr);
}

Outcome Backend::fini_single(uint32_t id) {
  const auto work = this->work(id);
  if (!work) return Outcome::bad_argument;
  end_stream(*work);
  const std::lock_guard lock(mutex_);
  work->text.clear();
  work->piece.clear();
  work->computed = false;
  return Outcome::good;
}

Outcome Backend::cancel(uint32_t id) { return outcome_of(linnet_cancel(runtime_, id, nullptr)); }

Outcome Backend::output(uint32_t id, uint32_t index, bool single, std::string& text) {
  const auto work = this->work(id);
  if (!work || index > 1) return Outcome::bad_argument;
  const std::lock_guard lock(mutex_);
  if (index == 1) {
    text = metadata(*work);
  } else if (!work->computed) {
    return Outcome::failed;  // nothing was computed
  } else {
    text = single ? work->piece : work->text;
  }
  return Outcome::good;
}

std::string Backend::metadata(const Work& work) {
  JsonWriter w;
  w.begin_object().member("input_tokens", work.input_tokens).member("output_tokens", work.output_tokens);
  w.member("finish_reason", work.finish_reason);
  // Guests that print these expect them; they name what computes.
  w.member("llama_build_number", 0).member("llama_commit", "linnet-" + std::string(linnet_version()));
  return w.end_object().text();
}

Outcome Backend::status(int32_t topic, char* buffer, uint32_t size) {
  if (topic < LINNET_STATUS_QUEUE || topic > LINNET_STATUS_MODEL || !buffer) return Outcome::bad_argument;
  size_t needed = 0;
  const int32_t code = linnet_status(runtime_, topic, buffer, size, &needed, nullptr);
  if (code == LINNET_TOO_LARGE && size >= 24) {
    const std::string note = fmt::format("{{\"needed\":{}}}", needed);
    std::memcpy(buffer, note.c_str(), note.size() + 1);
  }
  return outcome_of(code);
}

}  // namespace linnet::wasi_nn

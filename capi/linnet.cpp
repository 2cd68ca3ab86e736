// The C functions: handles to objects, errors to codes, and no exception beyond this file.
#include "capi/linnet.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "capi/completion_json.h"
#include "capi/context.h"
#include "capi/plan.h"
#include "capi/registry.h"
#include "capi/sampler_library.h"
#include "gguf/base/utf8.h"
#include "runtime/embedder.h"

namespace linnet {
namespace {

linnet_code code_of(Code code) {
  switch (code) {
    case Code::ok:
      return LINNET_OK;
    case Code::internal:
      return LINNET_INTERNAL;
    case Code::invalid_argument:
    case Code::token_range:
    case Code::prompt_empty:
      return LINNET_INVALID_ARGUMENT;
    case Code::handle_unknown:
    case Code::io_not_found:
      return LINNET_NOT_FOUND;
    case Code::out_of_memory:
    case Code::cache_full:
      return LINNET_OUT_OF_MEMORY;
    case Code::busy:
      return LINNET_BUSY;
    case Code::timeout:
      return LINNET_TIMEOUT;
    case Code::cancelled:
      return LINNET_CANCELLED;
    case Code::too_large:
      return LINNET_TOO_LARGE;
    case Code::prompt_too_long:
      return LINNET_PROMPT_TOO_LONG;
    case Code::context_full:
      return LINNET_CONTEXT_FULL;
    case Code::unsupported:
    case Code::backend_unknown:
    case Code::backend_unavailable:
      return LINNET_UNSUPPORTED;
    case Code::io_not_regular:
    case Code::io_permission:
    case Code::io_read:
    case Code::io_write:
    case Code::io_map:
    case Code::io_changed:
    case Code::session_file:
    case Code::thread_start:
      return LINNET_IO;
    case Code::json_syntax:
    case Code::json_type:
    case Code::option_unknown:
    case Code::option_type:
    case Code::option_range:
    case Code::grammar_syntax:
    case Code::grammar_limit:
    case Code::grammar_dead_end:
    case Code::schema_unsupported:
    case Code::schema_invalid:
    case Code::regex:
    case Code::sampler_unknown:
    case Code::sampler_failed:
      return LINNET_CONFIGURATION;
    default:
      return LINNET_MODEL;  // what is wrong with a file, and what its numbers come to
  }
}

// Cut at a character's end.
template <size_t size>
void copy_text(char (&to)[size], std::string_view text) {
  size_t n = std::min(text.size(), size - 1);
  while (n > 0 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) --n;
  std::memcpy(to, text.data(), n);
  to[n] = 0;
}

int32_t give(const Error& problem, linnet_error* error) {
  if (error) {
    copy_text(error->name, code_name(problem.code));
    copy_text(error->message, problem.message);
  }
  return code_of(problem.code);
}

// Runs a function's body: `body` returns a Status.
template <class Body>
int32_t guarded(linnet_error* error, Body&& body) noexcept {
  if (error) error->name[0] = error->message[0] = 0;
  try {
    const Status status = body();
    return status ? LINNET_OK : give(status.error(), error);
  } catch (const std::bad_alloc&) {
    return give({Code::out_of_memory, "out of memory"}, error);
  } catch (const std::exception& e) {
    return give(fail(Code::internal, "an unexpected exception: {}; please report it", e.what()), error);
  } catch (...) { return give({Code::internal, "an unexpected exception; please report it"}, error); }
}

Result<std::string_view> text_of(const char* text, size_t bytes, const char* what) {
  if (!text && bytes > 0) return fail(Code::invalid_argument, "{} is NULL with {} bytes", what, bytes);
  return std::string_view(text ? text : "", bytes);
}

Result<std::string> path_of(const char* path, size_t bytes) {
  LINNET_TRY(const std::string_view text, text_of(path, bytes, "the path"));
  if (text.empty()) return fail(Code::invalid_argument, "the path is empty, expected a file's name");
  if (text.find('\0') != text.npos) {
    return fail(Code::invalid_argument, "the path {} has a zero byte inside", quoted(text));
  }
  return std::string(text);
}

Status needs(const void* pointer, const char* what) {
  if (pointer) return {};
  return fail(Code::invalid_argument, "{} is NULL, expected a place for the result", what);
}

// The rule about results in memory of the caller.
template <class T>
Status deliver(std::span<const T> result, T* to, size_t capacity, size_t* needed) {
  if (needed) *needed = result.size();
  if (!to && capacity > 0)
    return fail(Code::invalid_argument, "the memory for the result is NULL, its size {}", capacity);
  if (!to && needed) return {};  // only the size was asked for
  if (result.size() > capacity) {
    return fail(Code::too_large, "the result takes {}, and there is room for {}", result.size(), capacity);
  }
  if (!result.empty()) std::memcpy(to, result.data(), result.size() * sizeof(T));
  return {};
}

// A text, with its zero byte: `needed` and `capacity` count it.
Status deliver_text(const std::string& text, char* to, size_t capacity, size_t* needed) {
  return deliver(std::span<const char>(text.c_str(), text.size() + 1), to, capacity, needed);
}

// ---- completions

struct CompletionMemory {
  Completion completion;
  std::string json;
};

void fill(linnet_completion* out, Completion completion) {
  auto memory = std::make_unique<CompletionMemory>();
  memory->completion = std::move(completion);
  memory->json = completion_json(memory->completion);
  const Completion& c = memory->completion;
  linnet_completion filled = {};
  filled.size = out->size;
  filled.text = c.text.c_str();
  filled.text_bytes = c.text.size();
  filled.tokens = c.tokens.data();
  filled.token_count = c.tokens.size();
  filled.prompt_tokens = c.prompt_tokens;
  filled.cached_tokens = c.cached_tokens;
  filled.discarded_tokens = c.discarded_tokens;
  filled.finish_reason = finish_reason_name(c.finish_reason).data();
  filled.json = memory->json.c_str();
  filled.json_bytes = memory->json.size();
  filled.memory = memory.release();
  *out = filled;
}

Status check_completion(linnet_completion* completion) {
  LINNET_CHECK(needs(completion, "completion"));
  if (completion->size != sizeof(linnet_completion)) {
    return fail(Code::invalid_argument, "the completion's size is {}, expected {}: set it to sizeof before the call",
                completion->size, sizeof(linnet_completion));
  }
  *completion = {.size = sizeof(linnet_completion)};
  return {};
}

Status check_request(const linnet_request* request) {
  LINNET_CHECK(needs(request, "request"));
  if (request->size != sizeof(linnet_request)) {
    return fail(Code::invalid_argument, "the request's size is {}, expected {}: set it to sizeof before the call",
                request->size, sizeof(linnet_request));
  }
  LINNET_TRY([[maybe_unused]] const auto input, text_of(request->input, request->input_bytes, "the input"));
  LINNET_TRY([[maybe_unused]] const auto config, text_of(request->config, request->config_bytes, "the configuration"));
  if (!request->tokens && request->token_count > 0) {
    return fail(Code::invalid_argument, "the tokens are NULL, and there are {} of them", request->token_count);
  }
  return {};
}

GenerateInput input_of(const linnet_request& request) {
  GenerateInput input;
  input.text = {request.input ? request.input : "", request.input_bytes};
  input.tokens = {request.tokens, request.token_count};
  input.raw = request.raw != 0;
  input.config = {request.config ? request.config : "", request.config_bytes};
  if (request.on_text) {
    input.on_text = [call = request.on_text, context = request.context](std::string_view text) {
      const CallbackScope scope;
      // What the callback gets is followed by a zero byte.
      const std::string piece(text);
      return call(context, piece.c_str(), piece.size()) == 0;
    };
  }
  return input;
}

}  // namespace
}  // namespace linnet

using namespace linnet;

const char* linnet_version(void) { return LINNET_VERSION; }

const char* linnet_code_name(int32_t code) {
  constexpr const char* names[] = {
      "ok",   "invalid_argument", "not_found", "configuration", "model",           "out_of_memory",
      "busy", "timeout",          "cancelled", "too_large",     "prompt_too_long", "context_full",
      "end",  "unsupported",      "io",        "internal"};
  return code >= 0 && static_cast<size_t>(code) < std::size(names) ? names[code] : "unknown";
}

// ---- runtimes

namespace {

struct HostLog {
  linnet_log_callback call;
  void* context;

  static void write(void* context, const LogRecord& record) {
    const auto& log = *static_cast<const HostLog*>(context);
    std::string text(record.message);
    for (const LogField& field : record.fields) text += fmt::format(" {}={}", field.name, field.value);
    const std::string tag(record.tag);
    const CallbackScope scope;
    log.call(log.context, static_cast<int32_t>(record.level), tag.c_str(), text.c_str(), text.size());
  }
};

}  // namespace

int32_t linnet_runtime_create(const char* config, size_t config_bytes, linnet_log_callback log, void* log_context,
                              linnet_runtime* runtime, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(runtime, "runtime"));
    LINNET_TRY(const std::string_view text, text_of(config, config_bytes, "the configuration"));
    ContextOptions options;
    auto host_log = std::make_shared<HostLog>(HostLog{log, log_context});
    if (log) {
      options.log = HostLog::write;
      options.log_context = host_log.get();
    }
    LINNET_TRY(std::unique_ptr<Context> context, Context::create(text, options));
    LINNET_TRY(*runtime, Registry::instance().add(std::move(context), log ? host_log : nullptr));
    return {};
  });
}

int32_t linnet_runtime_destroy(linnet_runtime runtime, linnet_error* error) {
  return guarded(error, [&]() -> Status { return Registry::instance().remove(runtime); });
}

int32_t linnet_runtime_add_samplers(linnet_runtime runtime, const linnet_sampler_library* library,
                                    linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    if (!library) return fail(Code::invalid_argument, "the library of samplers is NULL");
    return context->add_samplers([&](CustomSamplers& samplers) { return add_samplers(*library, samplers); });
  });
}

// ---- models

int32_t linnet_model_load(linnet_runtime runtime, const char* path, size_t path_bytes, const char* config,
                          size_t config_bytes, linnet_model* model, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(model, "model"));
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string file, path_of(path, path_bytes));
    LINNET_TRY(const std::string_view text, text_of(config, config_bytes, "the configuration"));
    LINNET_TRY(*model, context->load(file, text));
    return {};
  });
}

int32_t linnet_model_load_bytes(linnet_runtime runtime, const void* bytes, size_t byte_count, const char* config,
                                size_t config_bytes, linnet_model* model, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(model, "model"));
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    if (!bytes && byte_count > 0) return fail(Code::invalid_argument, "the model's bytes are NULL");
    LINNET_TRY(const std::string_view text, text_of(config, config_bytes, "the configuration"));
    const auto* begin = static_cast<const std::byte*>(bytes);
    LINNET_TRY(*model, context->load_bytes({begin, byte_count}, text));
    return {};
  });
}

int32_t linnet_model_replace(linnet_runtime runtime, linnet_model old_model, const char* path, size_t path_bytes,
                             const char* config, size_t config_bytes, linnet_model* model, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(model, "model"));
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string file, path_of(path, path_bytes));
    LINNET_TRY(const std::string_view text, text_of(config, config_bytes, "the configuration"));
    LINNET_TRY(*model, context->replace(old_model, file, text));
    return {};
  });
}

int32_t linnet_model_unload(linnet_runtime runtime, linnet_model model, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    return context->unload(model);
  });
}

int32_t linnet_tokenize(linnet_runtime runtime, linnet_model model, const char* text, size_t text_bytes, uint32_t flags,
                        int32_t* tokens, size_t capacity, size_t* needed, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const auto served, context->served(model));
    LINNET_TRY(const std::string_view input, text_of(text, text_bytes, "the text"));
    if (flags & ~(LINNET_TOKENIZE_SPECIAL | LINNET_TOKENIZE_BOS))
      return fail(Code::invalid_argument, "the flags are {}, expected a sum of LINNET_TOKENIZE_...", flags);
    const Tokenizer& tokenizer = served->model->tokenizer();
    const bool ends = flags & LINNET_TOKENIZE_BOS;
    const bool special = flags & LINNET_TOKENIZE_SPECIAL;
    LINNET_TRY(const std::vector<int32_t> ids, tokenizer.encode(input, {.bos = ends && tokenizer.add_bos(),
                                                                        .special = special,
                                                                        .eos = ends && tokenizer.add_eos()}));
    return deliver(std::span<const int32_t>(ids), tokens, capacity, needed);
  });
}

int32_t linnet_detokenize(linnet_runtime runtime, linnet_model model, const int32_t* tokens, size_t token_count,
                          int32_t special, char* text, size_t capacity, size_t* needed, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const auto served, context->served(model));
    if (!tokens && token_count > 0) return fail(Code::invalid_argument, "the tokens are NULL");
    const std::span ids(tokens, token_count);
    const Tokenizer& tokenizer = served->model->tokenizer();
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= tokenizer.size())
        return fail(Code::token_range, "token {} is id {}, expected 0 to {}", i, ids[i], tokenizer.size() - 1);
    }
    return deliver_text(tokenizer.decode(ids, special != 0), text, capacity, needed);
  });
}

int32_t linnet_embed(linnet_runtime runtime, linnet_model model, const char* text, size_t text_bytes, float* vector,
                     size_t capacity, size_t* needed, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string_view input, text_of(text, text_bytes, "the text"));
    LINNET_TRY(const std::vector<float> result, context->embed(model, input));
    return deliver(std::span<const float>(result), vector, capacity, needed);
  });
}

// ---- sessions

int32_t linnet_session_open(linnet_runtime runtime, linnet_model model, const char* name, size_t name_bytes,
                            const char* config, size_t config_bytes, linnet_session* session, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(session, "session"));
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string_view text, text_of(config, config_bytes, "the configuration"));
    if (!name && name_bytes > 0) return fail(Code::invalid_argument, "the name is NULL with {} bytes", name_bytes);
    std::optional<std::string_view> given;
    if (name) given = std::string_view(name, name_bytes);
    LINNET_TRY(*session, context->open_session(model, given, text));
    return {};
  });
}

int32_t linnet_session_close(linnet_runtime runtime, linnet_session session, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    return context->close_session(session);
  });
}

int32_t linnet_session_fork(linnet_runtime runtime, linnet_session session, linnet_session* copy, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(copy, "copy"));
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(*copy, context->fork_session(session));
    return {};
  });
}

int32_t linnet_session_reset(linnet_runtime runtime, linnet_session session, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    return context->reset_session(session);
  });
}

int32_t linnet_session_save(linnet_runtime runtime, linnet_session session, const char* path, size_t path_bytes,
                            linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string file, path_of(path, path_bytes));
    return context->save_session(session, file);
  });
}

int32_t linnet_session_resume(linnet_runtime runtime, linnet_session session, const char* path, size_t path_bytes,
                              linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::string file, path_of(path, path_bytes));
    return context->resume_session(session, file);
  });
}

// ---- generation

int32_t linnet_generate(linnet_runtime runtime, linnet_session session, const linnet_request* request,
                        linnet_completion* completion, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(check_completion(completion));
    LINNET_CHECK(check_request(request));
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(Completion result, context->generate(session, input_of(*request)));
    fill(completion, std::move(result));
    return {};
  });
}

void linnet_completion_free(linnet_completion* completion) {
  if (!completion) return;
  delete static_cast<CompletionMemory*>(completion->memory);
  *completion = {.size = completion->size};
}

int32_t linnet_cancel(linnet_runtime runtime, linnet_session session, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    return context->cancel(session);
  });
}

int32_t linnet_stream_start(linnet_runtime runtime, linnet_session session, const linnet_request* request,
                            linnet_stream* stream, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(stream, "stream"));
    LINNET_CHECK(check_request(request));
    if (request->on_text)
      return fail(Code::invalid_argument, "a stream's request has a callback; its text comes from linnet_stream_next");
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(*stream, context->start_stream(session, input_of(*request)));
    return {};
  });
}

int32_t linnet_stream_next(linnet_runtime runtime, linnet_stream stream, const char** text, size_t* bytes,
                           linnet_error* error) {
  bool ended = false;
  const int32_t code = guarded(error, [&]() -> Status {
    LINNET_CHECK(needs(text, "text"));
    LINNET_CHECK(needs(bytes, "bytes"));
    *text = nullptr;
    *bytes = 0;
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::shared_ptr<Stream> found, context->stream(stream));
    LINNET_TRY(const std::optional<std::string_view> piece, found->next());
    ended = !piece;
    if (piece) {
      *text = piece->data();
      *bytes = piece->size();
    }
    return {};
  });
  return code == LINNET_OK && ended ? LINNET_END : code;
}

int32_t linnet_stream_finish(linnet_runtime runtime, linnet_stream stream, linnet_completion* completion,
                             linnet_error* error) {
  return guarded(error, [&]() -> Status {
    if (completion) LINNET_CHECK(check_completion(completion));
    LINNET_CHECK(not_in_callback());
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    LINNET_TRY(const std::shared_ptr<Stream> found, context->stream(stream, true));
    LINNET_TRY(Completion result, found->finish());
    if (completion) fill(completion, std::move(result));
    return {};
  });
}

// ---- what is going on

int32_t linnet_status(linnet_runtime runtime, int32_t topic, char* text, size_t capacity, size_t* needed,
                      linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    if (topic < LINNET_STATUS_QUEUE || topic > LINNET_STATUS_PROMETHEUS)
      return fail(Code::invalid_argument, "the topic is {}, expected 0 to {}", topic, int{LINNET_STATUS_PROMETHEUS});
    return deliver_text(context->status(static_cast<StatusTopic>(topic)), text, capacity, needed);
  });
}

int32_t linnet_config(linnet_runtime runtime, linnet_model model, linnet_session session, char* text, size_t capacity,
                      size_t* needed, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const auto context, Registry::instance().find(runtime));
    Result<ConfigLayers> layers = session ? context->session_layers(session)
                                  : model ? context->model_layers(model)
                                          : Result<ConfigLayers>(context->layers());
    if (!layers) return layers.error();
    return deliver_text(config_json(*layers), text, capacity, needed);
  });
}

int32_t linnet_plan(const char* path, size_t path_bytes, const char* config, size_t config_bytes, char* text,
                    size_t capacity, size_t* needed, linnet_error* error) {
  return guarded(error, [&]() -> Status {
    LINNET_TRY(const std::string file, path_of(path, path_bytes));
    LINNET_TRY(const std::string_view given, text_of(config, config_bytes, "the configuration"));
    LINNET_TRY(const std::string plan, plan_json(file, given));
    return deliver_text(plan, text, capacity, needed);
  });
}

// libwasi_nn_llamacpp.so: the host ABI (WAMR) over capi/wasi_nn/backend.h.
#include "capi/wasi_nn/host.h"

#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "capi/wasi_nn/backend.h"

namespace {

using linnet::wasi_nn::Backend;
using linnet::wasi_nn::bounded;
using linnet::wasi_nn::Outcome;

wasi_nn_error number_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::good:
      return success;
    case Outcome::bad_argument:
      return invalid_argument;
    case Outcome::bad_encoding:
      return invalid_encoding;
    case Outcome::no_model_file:
      return model_not_found;
    case Outcome::busy:
      return busy;
    case Outcome::too_large:
      return too_large;
    case Outcome::unsupported:
      return unsupported_operation;
    case Outcome::context_full:
      return context_full;
    case Outcome::prompt_too_long:
      return prompt_tool_long;
    case Outcome::end:
      return end_of_sequence;
    case Outcome::timeout:
    case Outcome::failed:
      return runtime_error;
  }
  return runtime_error;
}

template <class Body>
wasi_nn_error guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (...) { return runtime_error; }
}

template <class Body>
wasi_nn_error with(void* ctx, Body&& body) noexcept {
  return guarded([&] {
    const auto backend = Backend::find(ctx);
    return backend ? body(*backend) : invalid_argument;
  });
}

// The same, for calls that bring an address in the guest's memory (native_symbols.cpp needs one).
template <class Body>
wasi_nn_error with(void* ctx, const void* guest_memory, Body&& body) noexcept {
  return with(ctx, [&](Backend& backend) {
    if (guest_memory) backend.see(guest_memory);
    return body(backend);
  });
}

// Numbers that hosts and guests have for bytes: 2 in the legacy interface, 3 in the standard, 4 in the component proposal.
bool is_bytes(uint8_t type) { return type >= 2 && type <= 4; }

wasi_nn_error write_output(const std::string& text, tensor_data* out, uint32_t* size) {
  *size = static_cast<uint32_t>(text.size());
  if (text.size() > out->size) return too_large;
  if (!text.empty()) std::memcpy(out->buf, text.data(), text.size());
  return success;
}

wasi_nn_error output_of(void* ctx, graph_execution_context exec_ctx, uint32_t index, bool single, tensor_data* output,
                        uint32_t* output_size) {
  return with(ctx, output_size, [&](Backend& backend) {
    if (!output || (!output->buf && output->size > 0) || !output_size) return invalid_argument;
    std::string text;
    const Outcome outcome = backend.output(exec_ctx, index, single, text);
    return outcome == Outcome::good ? write_output(text, output, output_size) : number_of(outcome);
  });
}

}  // namespace

// What guests of this interface expect where they say nothing: the prompt as it is, no history, the context's end is the
// end, and the defaults of WasmEdge's plugin.
linnet::wasi_nn::Rules linnet::wasi_nn::host_rules() {
  Rules rules;
  Options& o = rules.fallback;
  o.apply_chat_template = false;
  o.context_shifting = false;
  o.temp = 0.8;
  o.top_k = 40;
  o.top_p = 0.95;
  o.min_p = 0.05;
  o.repeat_penalty = 1.0;
  o.penalty_last_n = 64;
  o.max_tokens = -1;
  o.ctx_size = 4096;
  return rules;
}

wasi_nn_error init_backend(void** ctx) {
  return guarded([&] {
    if (!ctx) return invalid_argument;
    void* const opened = Backend::open({}, linnet::wasi_nn::host_rules());
    if (!opened) return runtime_error;
    *ctx = opened;
    return success;
  });
}

wasi_nn_error deinit_backend(void* ctx) {
  return guarded([&] { return number_of(Backend::close(ctx)); });
}

wasi_nn_error load(void* ctx, graph_builder_array* builder, graph_encoding encoding, execution_target target,
                   graph* g) {
  return with(ctx, g, [&](Backend& backend) {
    if (!g || !builder || !builder->buf || builder->size == 0 || !builder->buf[0].buf) return invalid_argument;
    if (encoding != ggml && encoding != autodetect) return invalid_encoding;
    if (target != cpu && target != gpu) return unsupported_operation;
    const auto part = [&](uint32_t i) {
      return std::string_view(reinterpret_cast<const char*>(builder->buf[i].buf), builder->buf[i].size);
    };
    const bool configured = builder->size > 1 && builder->buf[1].buf;
    const std::string_view config = configured ? part(1) : std::string_view();
    constexpr std::string_view kPreload = "preload:";
    if (part(0).starts_with(kPreload)) return number_of(backend.load(part(0).substr(kPreload.size()), config, *g));
    return number_of(backend.load_bytes(part(0), config, *g));
  });
}

wasi_nn_error load_by_name(void* ctx, const char* filename, uint32_t filename_len, graph* g) {
  return load_by_name_with_config(ctx, filename, filename_len, nullptr, 0, g);
}

wasi_nn_error load_by_name_with_config(void* ctx, const char* filename, uint32_t filename_len, const char* config,
                                       uint32_t config_len, graph* g) {
  return with(ctx, g, [&](Backend& backend) {
    if (!filename || !g) return invalid_argument;
    return number_of(backend.load(bounded(filename, filename_len), bounded(config, config_len), *g));
  });
}

wasi_nn_error unload(void* ctx, graph g) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.unload(g)); });
}

wasi_nn_error init_execution_context(void* ctx, graph g, graph_execution_context* exec_ctx) {
  return init_execution_context_with_config(ctx, g, nullptr, nullptr, 0, exec_ctx);
}

wasi_nn_error init_execution_context_with_config(void* ctx, graph g, const char* session_id, const char* config,
                                                 uint32_t config_len, graph_execution_context* exec_ctx) {
  return with(ctx, exec_ctx, [&](Backend& backend) {
    if (!exec_ctx) return invalid_argument;
    return number_of(backend.open_context(g, session_id, bounded(config, config_len), *exec_ctx));
  });
}

wasi_nn_error finalize_execution_context(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.close_context(exec_ctx)); });
}

wasi_nn_error set_input(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor* input) {
  return with(ctx, input ? input->data.buf : nullptr, [&](Backend& backend) {
    if (index > 1 || !input || !is_bytes(input->type) || (!input->data.buf && input->data.size > 0))
      return invalid_argument;
    std::string_view text(reinterpret_cast<const char*>(input->data.buf), input->data.size);
    while (!text.empty() && text.back() == 0) text.remove_suffix(1);
    return number_of(index == 0 ? backend.set_input(exec_ctx, text) : backend.set_config(exec_ctx, text));
  });
}

wasi_nn_error compute(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.compute(exec_ctx)); });
}

wasi_nn_error get_output(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor_data* output,
                         uint32_t* output_size) {
  return output_of(ctx, exec_ctx, index, false, output, output_size);
}

wasi_nn_error compute_single(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.compute_single(exec_ctx)); });
}

wasi_nn_error get_output_single(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor_data* output,
                                uint32_t* output_size) {
  return output_of(ctx, exec_ctx, index, true, output, output_size);
}

wasi_nn_error fini_single(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.fini_single(exec_ctx)); });
}

wasi_nn_error cancel(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.cancel(exec_ctx)); });
}

wasi_nn_error get_backend_status(void* ctx, backend_status_type type, char* buffer, uint32_t buffer_size) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.status(type, buffer, buffer_size)); });
}

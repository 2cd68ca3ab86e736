// libwasi_nn_backend.so: the client ABI over capi/wasi_nn/backend.h.
#include "capi/wasi_nn/client.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "capi/wasi_nn/backend.h"
#include "gguf/base/utf8.h"

namespace {

using linnet::wasi_nn::Backend;
using linnet::wasi_nn::bounded;
using linnet::wasi_nn::Outcome;

constexpr uint64_t kMostInput = uint64_t{1} << 30;

wasi_nn_error number_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::good:
      return success;
    case Outcome::bad_argument:
      return invalid_argument;
    case Outcome::bad_encoding:
      return invalid_encoding;
    case Outcome::timeout:
      return timeout;
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
    case Outcome::no_model_file:
    case Outcome::busy:
    case Outcome::failed:
      return runtime_error;
  }
  return unknown;
}

// Nothing is thrown across the interface.
template <class Body>
wasi_nn_error guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) { return runtime_error; } catch (...) {
    return unknown;
  }
}

// The bytes of a text: as many as the dimensions say, else up to its zero byte. Zero bytes at the end do not count.
bool text_of(const tensor* t, std::string_view& text) {
  if (!t || !t->data) return false;
  const char* data = reinterpret_cast<const char*>(t->data);
  if (!t->dimensions || !t->dimensions->buf || t->dimensions->size == 0) {
    text = data;
    return true;
  }
  uint64_t bytes = 1;
  for (uint32_t i = 0; i < t->dimensions->size; ++i) {
    bytes *= t->dimensions->buf[i];
    if (bytes > kMostInput) return false;
  }
  text = {data, static_cast<size_t>(bytes)};
  while (!text.empty() && text.back() == 0) text.remove_suffix(1);
  return true;
}

// As much of the text as there is room for, up to a character's end.
size_t fitting(const std::string& text, size_t room) {
  if (text.size() <= room) return text.size();
  size_t n = room;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) --n;
  return n;
}

linnet::wasi_nn::Rules rules() {
  linnet::wasi_nn::Rules rules;
  rules.client_ranges = true;
  rules.one_model = true;
  return rules;
}

wasi_nn_error write_output(const std::string& text, tensor_data out, uint32_t* size) {
  if (!out || !size) return invalid_argument;
  const uint32_t room = *size;
  const size_t n = fitting(text, room);
  std::memcpy(out, text.data(), n);
  if (n < room) out[n] = 0;
  *size = static_cast<uint32_t>(n);
  return success;
}

template <class Body>
wasi_nn_error with(void* ctx, Body&& body) noexcept {
  return guarded([&] {
    const auto backend = Backend::find(ctx);
    return backend ? body(*backend) : invalid_argument;
  });
}

}  // namespace

wasi_nn_error init_backend(void** ctx) { return init_backend_with_config(ctx, nullptr, 0); }

wasi_nn_error init_backend_with_config(void** ctx, const char* config, uint32_t config_len) {
  return guarded([&] {
    if (!ctx) return invalid_argument;
    void* const opened = Backend::open(bounded(config, config_len), rules());
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
  return with(ctx, [&](Backend& backend) {
    if (!g || !builder || !builder->buf || builder->size == 0 || !builder->buf[0].buf) return invalid_argument;
    if (encoding != ggml && encoding != autodetect) return invalid_encoding;
    if (target != cpu && target != gpu) return unsupported_operation;
    const auto part = [&](uint32_t i) {
      return std::string_view(reinterpret_cast<const char*>(builder->buf[i].buf), builder->buf[i].size);
    };
    const bool configured = builder->size > 1 && builder->buf[1].buf;
    const std::string_view config = configured ? part(1) : std::string_view();
    return number_of(backend.load_bytes(part(0), config, *g));
  });
}

wasi_nn_error load_by_name(void* ctx, const char* filename, uint32_t filename_len, graph* g) {
  return load_by_name_with_config(ctx, filename, filename_len, nullptr, 0, g);
}

wasi_nn_error load_by_name_with_config(void* ctx, const char* filename, uint32_t filename_len, const char* config,
                                       uint32_t config_len, graph* g) {
  return with(ctx, [&](Backend& backend) {
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

wasi_nn_error init_execution_context_with_session_id(void* ctx, const char* session_id,
                                                     graph_execution_context* exec_ctx) {
  return with(ctx, [&](Backend& backend) {
    if (!session_id || !exec_ctx) return invalid_argument;
    return number_of(backend.open_context(backend.current_graph(), session_id, {}, *exec_ctx));
  });
}

wasi_nn_error init_execution_context_with_config(void* ctx, graph g, const char* session_id, const char* config,
                                                 uint32_t config_len, graph_execution_context* exec_ctx) {
  return with(ctx, [&](Backend& backend) {
    if (!exec_ctx) return invalid_argument;
    return number_of(backend.open_context(g, session_id, bounded(config, config_len), *exec_ctx));
  });
}

wasi_nn_error close_execution_context(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.close_context(exec_ctx)); });
}

wasi_nn_error finalize_execution_context(void* ctx, graph_execution_context exec_ctx) {
  return close_execution_context(ctx, exec_ctx);
}

wasi_nn_error run_inference(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor* input_tensor,
                            tensor_data output_tensor, uint32_t* output_tensor_size, const char* runtime_config,
                            uint32_t config_len) {
  return with(ctx, [&](Backend& backend) {
    std::string_view text;
    if (index != 0 || !output_tensor || !output_tensor_size || !text_of(input_tensor, text)) return invalid_argument;
    const uint32_t room = *output_tensor_size;
    if (room == 0) return too_large;
    std::string output;
    const Outcome outcome = backend.run(exec_ctx, text, bounded(runtime_config, config_len), output);
    if (outcome != Outcome::good) return number_of(outcome);
    const size_t n = fitting(output, room - 1);
    std::memcpy(output_tensor, output.data(), n);
    output_tensor[n] = 0;
    *output_tensor_size = static_cast<uint32_t>(n + 1);
    return success;
  });
}

wasi_nn_error set_input(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor* input) {
  return with(ctx, [&](Backend& backend) {
    std::string_view text;
    if (index > 1 || !text_of(input, text)) return invalid_argument;
    return number_of(index == 0 ? backend.set_input(exec_ctx, text) : backend.set_config(exec_ctx, text));
  });
}

wasi_nn_error compute(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.compute(exec_ctx)); });
}

wasi_nn_error get_output(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor_data output_tensor,
                         uint32_t* output_tensor_size) {
  return with(ctx, [&](Backend& backend) {
    if (!output_tensor || !output_tensor_size) return invalid_argument;
    std::string text;
    const Outcome outcome = backend.output(exec_ctx, index, false, text);
    return outcome == Outcome::good ? write_output(text, output_tensor, output_tensor_size) : number_of(outcome);
  });
}

wasi_nn_error compute_single(void* ctx, graph_execution_context exec_ctx) {
  return with(ctx, [&](Backend& backend) { return number_of(backend.compute_single(exec_ctx)); });
}

wasi_nn_error get_output_single(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor_data output_tensor,
                                uint32_t* output_tensor_size) {
  return with(ctx, [&](Backend& backend) {
    if (!output_tensor || !output_tensor_size) return invalid_argument;
    std::string text;
    const Outcome outcome = backend.output(exec_ctx, index, true, text);
    return outcome == Outcome::good ? write_output(text, output_tensor, output_tensor_size) : number_of(outcome);
  });
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

/* The interface of libwasi_nn_llamacpp.so: what WAMR's iwasm loads, with its layouts and the error numbers of the wasi-nn
   proposal (witx). */
#ifndef LINNET_WASI_NN_HOST_H
#define LINNET_WASI_NN_HOST_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef WASI_NN_ENUM{
    success = 0,        invalid_argument = 1,      invalid_encoding = 2, missing_memory = 3, busy = 4,
    runtime_error = 5,  unsupported_operation = 6, too_large = 7,        not_found = 8,      end_of_sequence = 100,
    context_full = 101, prompt_tool_long = 102,    model_not_found = 103} wasi_nn_error;

typedef struct {
  uint8_t* buf;
  uint32_t size; /* bytes */
} tensor_data;

/* Text: type 3 (u8), or 2 from older hosts, or 4 from guests with other numbers; `data.size` counts. */
typedef struct {
  tensor_dimensions* dimensions;
  uint8_t type;
  uint8_t pad[3];
  tensor_data data;
} tensor;

WASI_NN_EXPORT wasi_nn_error init_backend(void** ctx);
WASI_NN_EXPORT wasi_nn_error deinit_backend(void* ctx);
/* A GGUF file's bytes, or "preload:PATH"; a second part is the configuration. */
WASI_NN_EXPORT wasi_nn_error load(void* ctx, graph_builder_array* builder, graph_encoding encoding,
                                  execution_target target, graph* g);
WASI_NN_EXPORT wasi_nn_error load_by_name(void* ctx, const char* filename, uint32_t filename_len, graph* g);
WASI_NN_EXPORT wasi_nn_error load_by_name_with_config(void* ctx, const char* filename, uint32_t filename_len,
                                                      const char* config, uint32_t config_len, graph* g);
WASI_NN_EXPORT wasi_nn_error unload(void* ctx, graph g);
WASI_NN_EXPORT wasi_nn_error init_execution_context(void* ctx, graph g, graph_execution_context* exec_ctx);
/* `session_id` null: anonymous; a name that is known gives the context that has it. */
WASI_NN_EXPORT wasi_nn_error init_execution_context_with_config(void* ctx, graph g, const char* session_id,
                                                                const char* config, uint32_t config_len,
                                                                graph_execution_context* exec_ctx);
WASI_NN_EXPORT wasi_nn_error finalize_execution_context(void* ctx, graph_execution_context exec_ctx);
/* Index 0: the prompt, as it is (with the option `chat`: the user's next message). Index 1: a configuration. */
WASI_NN_EXPORT wasi_nn_error set_input(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor* input);
/* success at the end of the text; context_full with a part of it; prompt_tool_long. */
WASI_NN_EXPORT wasi_nn_error compute(void* ctx, graph_execution_context exec_ctx);
/* `output->size` is the room; `*output_size` becomes the bytes there are. Too short: too_large, nothing written. */
WASI_NN_EXPORT wasi_nn_error get_output(void* ctx, graph_execution_context exec_ctx, uint32_t index,
                                        tensor_data* output, uint32_t* output_size);
WASI_NN_EXPORT wasi_nn_error compute_single(void* ctx, graph_execution_context exec_ctx);
WASI_NN_EXPORT wasi_nn_error get_output_single(void* ctx, graph_execution_context exec_ctx, uint32_t index,
                                               tensor_data* output, uint32_t* output_size);
WASI_NN_EXPORT wasi_nn_error fini_single(void* ctx, graph_execution_context exec_ctx);
WASI_NN_EXPORT wasi_nn_error cancel(void* ctx, graph_execution_context exec_ctx);
WASI_NN_EXPORT wasi_nn_error get_backend_status(void* ctx, backend_status_type type, char* buffer,
                                                uint32_t buffer_size);

#ifdef __cplusplus
}
#endif

#endif

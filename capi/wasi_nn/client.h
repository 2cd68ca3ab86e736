/* The interface of libwasi_nn_backend.so: tensors with a bare pointer, the error numbers of the wasi-nn component
   proposal with success in front.

   Conventions
    1. Every function returns a wasi_nn_error. NULL where something is needed, contexts, graphs and execution contexts
       that are not (or no longer) alive: invalid_argument. Nothing crashes, exits or throws.
    2. Configurations are JSON (docs/options.md), nested or flat; `config_len` bytes at most, and no further than a zero
       byte. What cannot be used is left out with a warning in the log, and the call succeeds.
    3. Any thread may call anything. */
#ifndef LINNET_WASI_NN_CLIENT_H
#define LINNET_WASI_NN_CLIENT_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef WASI_NN_ENUM{success = 0,
                     invalid_argument = 1,
                     invalid_encoding = 2,
                     timeout = 3,
                     runtime_error = 4, /* limits and a full queue, too */
                     unsupported_operation = 5,
                     too_large = 6,
                     not_found = 7,
                     security = 8,
                     unknown = 9,
                     end_of_sequence = 100,
                     context_full = 101,
                     prompt_tool_long = 102,
                     model_not_found = 103} wasi_nn_error;

typedef WASI_NN_ENUM{fp16 = 0, fp32 = 1, fp64 = 2, bf16 = 3, u8 = 4, i32 = 5, i64 = 6} tensor_type;

typedef uint8_t* tensor_data;

/* Text: `dimensions` gives its bytes (their product), or is NULL (or empty) and the text ends with a zero byte. The type
   makes no difference. */
typedef struct {
  tensor_dimensions* dimensions;
  tensor_type type;
  tensor_data data;
} tensor;

/* ---- life */
WASI_NN_EXPORT wasi_nn_error init_backend(void** ctx);
WASI_NN_EXPORT wasi_nn_error init_backend_with_config(void** ctx, const char* config, uint32_t config_len);
/* Cancels what runs, waits for calls under way. A second time: invalid_argument. */
WASI_NN_EXPORT wasi_nn_error deinit_backend(void* ctx);

/* ---- models. A context has one model at a time: loading another one is a hot swap (docs/wasi-nn.md), and loading the
   same with the same configuration does nothing. */
WASI_NN_EXPORT wasi_nn_error load(void* ctx, graph_builder_array* builder, graph_encoding encoding,
                                  execution_target target, graph* g);
WASI_NN_EXPORT wasi_nn_error load_by_name(void* ctx, const char* filename, uint32_t filename_len, graph* g);
WASI_NN_EXPORT wasi_nn_error load_by_name_with_config(void* ctx, const char* filename, uint32_t filename_len,
                                                      const char* config, uint32_t config_len, graph* g);
WASI_NN_EXPORT wasi_nn_error unload(void* ctx, graph g);

/* ---- sessions: an execution context has a history and its own place in the cache */
WASI_NN_EXPORT wasi_nn_error init_execution_context(void* ctx, graph g, graph_execution_context* exec_ctx);
/* The same id: the same context. It belongs to the model that is loaded. */
WASI_NN_EXPORT wasi_nn_error init_execution_context_with_session_id(void* ctx, const char* session_id,
                                                                    graph_execution_context* exec_ctx);
/* session_id NULL: an anonymous one. */
WASI_NN_EXPORT wasi_nn_error init_execution_context_with_config(void* ctx, graph g, const char* session_id,
                                                                const char* config, uint32_t config_len,
                                                                graph_execution_context* exec_ctx);
WASI_NN_EXPORT wasi_nn_error close_execution_context(void* ctx, graph_execution_context exec_ctx);
WASI_NN_EXPORT wasi_nn_error finalize_execution_context(void* ctx, graph_execution_context exec_ctx);

/* ---- generation. The input is the user's next message; the answer joins the history. */
/* `*out_size`: before, the room at `out`; afterwards the bytes written, the zero byte counted. A longer text is cut at a
   character's end. */
WASI_NN_EXPORT wasi_nn_error run_inference(void* ctx, graph_execution_context exec_ctx, uint32_t index,
                                           tensor* input_tensor, tensor_data output_tensor,
                                           uint32_t* output_tensor_size, const char* runtime_config,
                                           uint32_t config_len);
/* Index 0: the input. Index 1: a configuration for the computations that follow. */
WASI_NN_EXPORT wasi_nn_error set_input(void* ctx, graph_execution_context exec_ctx, uint32_t index, tensor* input);
WASI_NN_EXPORT wasi_nn_error compute(void* ctx, graph_execution_context exec_ctx);
/* Index 0: the text. Index 1: {"input_tokens":..,"output_tokens":..,..}. Room and size as in run_inference, but for the
   zero byte, which is written where there is room and not counted. */
WASI_NN_EXPORT wasi_nn_error get_output(void* ctx, graph_execution_context exec_ctx, uint32_t index,
                                        tensor_data output_tensor, uint32_t* output_tensor_size);
/* Piece by piece: compute_single() until end_of_sequence, get_output_single() after each, fini_single(). */
WASI_NN_EXPORT wasi_nn_error compute_single(void* ctx, graph_execution_context exec_ctx);
WASI_NN_EXPORT wasi_nn_error get_output_single(void* ctx, graph_execution_context exec_ctx, uint32_t index,
                                               tensor_data output_tensor, uint32_t* output_tensor_size);
WASI_NN_EXPORT wasi_nn_error fini_single(void* ctx, graph_execution_context exec_ctx);
/* Ends what the execution context computes, within one step. */
WASI_NN_EXPORT wasi_nn_error cancel(void* ctx, graph_execution_context exec_ctx);

/* JSON and a zero byte. Room too short: too_large, and {"needed":N} where 24 bytes are there. */
WASI_NN_EXPORT wasi_nn_error get_backend_status(void* ctx, backend_status_type type, char* buffer,
                                                uint32_t buffer_size);

#ifdef __cplusplus
}
#endif

#endif

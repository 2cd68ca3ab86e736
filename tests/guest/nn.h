// The import module `wasi_ephemeral_nn` as guests see it: WAMR's functions, and those that Linnet adds to them. Pointers
// are 32 bits wide here, so the layouts are those of the proposal.
#pragma once

#include <stdint.h>

typedef struct {
  const uint8_t* data;
  uint32_t bytes;
} nn_part;  // of a model: its bytes, or its configuration

typedef struct {
  const uint32_t* dims;
  uint32_t rank;
  uint32_t type;
  const uint8_t* data;
  uint32_t bytes;
} nn_tensor;

_Static_assert(sizeof(nn_part) == 8 && sizeof(nn_tensor) == 20, "layouts of the proposal");

enum { nn_u8 = 3, nn_ggml = 5, nn_cpu = 0 };
enum {
  nn_success = 0,
  nn_invalid_argument = 1,
  nn_invalid_encoding = 2,
  nn_runtime_error = 5,
  nn_too_large = 7,
  nn_not_found = 8,
  nn_end_of_sequence = 100,
  nn_model_not_found = 103
};

#define NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(#name))) uint32_t nn_##name

NN(load)(const nn_part* parts, uint32_t count, uint32_t encoding, uint32_t target, uint32_t* graph);
NN(load_by_name)(const char* name, uint32_t name_bytes, uint32_t* graph);
NN(load_by_name_with_config)
(const char* name, uint32_t name_bytes, const char* config, uint32_t config_bytes, uint32_t* graph);
NN(init_execution_context)(uint32_t graph, uint32_t* context);
NN(set_input)(uint32_t context, uint32_t index, const nn_tensor* input);
NN(compute)(uint32_t context);
NN(get_output)(uint32_t context, uint32_t index, void* buffer, uint32_t bytes, uint32_t* written);

NN(compute_single)(uint32_t context);
NN(get_output_single)(uint32_t context, uint32_t index, void* buffer, uint32_t bytes, uint32_t* written);
NN(fini_single)(uint32_t context);
NN(cancel)(uint32_t context);
NN(unload)(uint32_t graph);
NN(init_execution_context_with_config)
(uint32_t graph, const char* session, uint32_t session_bytes, const char* config, uint32_t config_bytes,
 uint32_t* context);
NN(finalize_execution_context)(uint32_t context);
NN(get_backend_status)(uint32_t topic, char* buffer, uint32_t bytes);

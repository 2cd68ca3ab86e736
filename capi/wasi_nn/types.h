/* What both WASI-NN interfaces have in common. Sources: the wasi-nn proposal (witx), the headers of WAMR 2.4 and of the
   clients of libwasi_nn_backend.so. */
#ifndef LINNET_WASI_NN_TYPES_H
#define LINNET_WASI_NN_TYPES_H

#include <stdint.h>

/* Numbers come from hosts and guests as they are: in C++ an enumeration has to say that it holds any of them. */
#ifdef __cplusplus
#define WASI_NN_ENUM enum : int
#else
#define WASI_NN_ENUM enum
#endif

typedef uint32_t graph;
typedef uint32_t graph_execution_context;

typedef WASI_NN_ENUM{openvino = 0,       onnx = 1, tensorflow = 2, pytorch = 3,
                     tensorflowlite = 4, ggml = 5, autodetect = 6, unknown_backend = 7} graph_encoding;

typedef WASI_NN_ENUM{cpu = 0, gpu = 1, tpu = 2} execution_target;

typedef struct {
  uint8_t* buf;
  uint32_t size;
} graph_builder;

typedef struct {
  graph_builder* buf;
  uint32_t size;
} graph_builder_array;

typedef struct {
  uint32_t* buf;
  uint32_t size;
} tensor_dimensions;

/* What get_backend_status() tells about, as JSON. */
typedef WASI_NN_ENUM{BACKEND_STATUS_QUEUE = 0, BACKEND_STATUS_MEMORY = 1, BACKEND_STATUS_SESSIONS = 2,
                     BACKEND_STATUS_PERFORMANCE = 3, BACKEND_STATUS_MODEL = 4} backend_status_type;

#if defined(_WIN32)
#define WASI_NN_EXPORT __declspec(dllexport)
#else
#define WASI_NN_EXPORT __attribute__((visibility("default")))
#endif

#endif

// Both WASI-NN libraries as their hosts see them: loaded by path, with the layouts and numbers of the hosts' own headers.
// Nothing here comes from capi/wasi_nn, so that a changed layout or number there fails a test.
#pragma once

#include <cstdint>
#include <string>

namespace linnet {

// A library opened as hosts do (its names stay its own). A missing library or name ends the test program's test.
class OpenLibrary {
 public:
  explicit OpenLibrary(const std::string& path);
  OpenLibrary(const OpenLibrary&) = delete;
  OpenLibrary& operator=(const OpenLibrary&) = delete;
  void* symbol(const char* name) const;  // null: it is not exported
  void close();
  bool is_open() const { return handle_ != nullptr; }

 private:
  void* handle_;
};

struct Dims {
  uint32_t* buf;
  uint32_t size;
};
struct Builder {
  uint8_t* buf;
  uint32_t size;
};
struct BuilderArray {
  Builder* buf;
  uint32_t size;
};

// The functions that both have with the same parameters; errors as plain numbers.
struct CommonAbi {
  int32_t (*init_backend)(void** ctx);
  int32_t (*deinit_backend)(void* ctx);
  int32_t (*load)(void* ctx, BuilderArray* builder, int32_t encoding, int32_t target, uint32_t* graph);
  int32_t (*load_by_name)(void* ctx, const char* name, uint32_t length, uint32_t* graph);
  int32_t (*load_by_name_with_config)(void* ctx, const char* name, uint32_t length, const char* config,
                                      uint32_t config_length, uint32_t* graph);
  int32_t (*unload)(void* ctx, uint32_t graph);
  int32_t (*init_execution_context)(void* ctx, uint32_t graph, uint32_t* exec);
  int32_t (*finalize_execution_context)(void* ctx, uint32_t exec);
  int32_t (*compute)(void* ctx, uint32_t exec);
  int32_t (*compute_single)(void* ctx, uint32_t exec);
  int32_t (*fini_single)(void* ctx, uint32_t exec);
  int32_t (*cancel)(void* ctx, uint32_t exec);
  int32_t (*get_backend_status)(void* ctx, int32_t topic, char* buffer, uint32_t size);

  void bind(const OpenLibrary& library);
};

// libwasi_nn_backend.so, as the clients' header has it on LP64.
struct ClientAbi : CommonAbi {
  struct Tensor {
    Dims* dimensions;
    int32_t type;
    uint8_t* data;
  };
  static constexpr int32_t success = 0, invalid_argument = 1, invalid_encoding = 2, timeout = 3, runtime_error = 4,
                           unsupported_operation = 5, too_large = 6, not_found = 7, end_of_sequence = 100,
                           context_full = 101, prompt_too_long = 102;
  int32_t (*init_backend_with_config)(void** ctx, const char* config, uint32_t length);
  int32_t (*init_execution_context_with_session_id)(void* ctx, const char* session, uint32_t* exec);
  int32_t (*init_execution_context_with_config)(void* ctx, uint32_t graph, const char* session, const char* config,
                                                uint32_t length, uint32_t* exec);
  int32_t (*close_execution_context)(void* ctx, uint32_t exec);
  int32_t (*run_inference)(void* ctx, uint32_t exec, uint32_t index, Tensor* input, uint8_t* out, uint32_t* size,
                           const char* config, uint32_t length);
  int32_t (*set_input)(void* ctx, uint32_t exec, uint32_t index, Tensor* input);
  int32_t (*get_output)(void* ctx, uint32_t exec, uint32_t index, uint8_t* out, uint32_t* size);
  int32_t (*get_output_single)(void* ctx, uint32_t exec, uint32_t index, uint8_t* out, uint32_t* size);

  explicit ClientAbi(const OpenLibrary& library);
};

// libwasi_nn_llamacpp.so, as WAMR's headers have it.
struct HostAbi : CommonAbi {
  struct Data {
    uint8_t* buf;
    uint32_t size;
  };
  struct Tensor {
    Dims* dimensions;
    uint8_t type;
    uint8_t pad[3];
    Data data;
  };
  static constexpr int32_t success = 0, invalid_argument = 1, invalid_encoding = 2, busy = 4, runtime_error = 5,
                           unsupported_operation = 6, too_large = 7, not_found = 8, end_of_sequence = 100,
                           context_full = 101, prompt_too_long = 102, model_not_found = 103;
  int32_t (*set_input)(void* ctx, uint32_t exec, uint32_t index, Tensor* input);
  int32_t (*get_output)(void* ctx, uint32_t exec, uint32_t index, Data* out, uint32_t* size);
  int32_t (*get_output_single)(void* ctx, uint32_t exec, uint32_t index, Data* out, uint32_t* size);

  explicit HostAbi(const OpenLibrary& library);
};

// Opened once for the test program.
const ClientAbi& client_abi();
const HostAbi& host_abi();

inline const std::string kDemoModel = LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf";

}  // namespace linnet

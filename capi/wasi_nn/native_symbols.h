/* The functions that libwasi_nn_llamacpp.so adds to WAMR's import module `wasi_ephemeral_nn`, through WAMR's own extension
   point: iwasm --native-lib=libwasi_nn_llamacpp.so, or an embedder's wasm_runtime_register_natives().

   A guest's call brings handles but no `ctx`, and handles count up from 1 in every `ctx`. So a call belongs to the `ctx`
   whose last call through WAMR's own functions brought an address in the memory of the calling instance: nobody else can
   have had it. The instance keeps what was found, and handles mean there what they mean in WAMR's own functions; those of
   another instance cannot be reached. Where the runtime's functions are not visible (linked statically without exported
   symbols), a call is accepted while there is one `ctx` in the process, and refused while there are several. */
#ifndef LINNET_WASI_NN_NATIVE_SYMBOLS_H
#define LINNET_WASI_NN_NATIVE_SYMBOLS_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As in WAMR's lib_export.h. The functions take the runtime's wasm_exec_env_t before the guest's arguments. */
typedef struct NativeSymbol {
  const char* symbol;
  void* func_ptr;
  const char* signature;
  void* attachment;
} NativeSymbol;

/* The number of symbols. */
WASI_NN_EXPORT uint32_t get_native_lib(char** module, NativeSymbol** symbols);
WASI_NN_EXPORT void deinit_native_lib(void);

#ifdef __cplusplus
}
#endif

#endif

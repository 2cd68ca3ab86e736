// What libwasi_nn_llamacpp.so adds to WAMR's import module (iwasm --native-lib=libwasi_nn_llamacpp.so): WAMR itself knows
// neither streaming nor unloading. See native_symbols.h for how a call finds its context.
#include "capi/wasi_nn/native_symbols.h"

#include <dlfcn.h>

#include <atomic>
#include <iterator>
#include <string>

#include "capi/wasi_nn/backend.h"
#include "capi/wasi_nn/host.h"

namespace {

using linnet::wasi_nn::Backend;

// ---- whose call it is

// Functions of the runtime that called us, if they can be seen from here: no header and no library of it is needed.
struct Runtime {
  void* (*instance_of)(void* exec_env);
  bool (*memory_holds)(void* instance, uint8_t* address, uint8_t** begin, uint8_t** end);
  // A place in each instance, which its threads share.
  void* (*new_place)(void (*on_end)(void* instance, void* value));
  void (*end_place)(void* place);
  void* (*get)(void* instance, void* place);
  void (*set)(void* instance, void* place, void* value);

  bool knows_instances() const { return instance_of && memory_holds; }
  bool has_places() const { return new_place && end_place && get && set; }
};

template <class Function>
void look_up(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

const Runtime& runtime() {
  static const Runtime found = [] {
    Runtime r{};
    look_up(r.instance_of, "wasm_runtime_get_module_inst");
    look_up(r.memory_holds, "wasm_runtime_get_native_addr_range");
    look_up(r.new_place, "wasm_runtime_create_context_key");
    look_up(r.end_place, "wasm_runtime_destroy_context_key");
    look_up(r.get, "wasm_runtime_get_context");
    look_up(r.set, "wasm_runtime_set_context_spread");
    return r;
  }();
  return found;
}

// Where instances keep their `ctx` once it is found. Null where the runtime has no such places.
std::atomic<void*> place = nullptr;

// Null when it cannot be told: the functions of host.h answer that with invalid_argument.
void* context_of(void* exec_env) noexcept try {
  if (!runtime().knows_instances()) return Backend::only([](const Backend&) { return true; });
  void* const instance = runtime().instance_of(exec_env);
  if (!instance) return nullptr;
  void* const kept_in = place;
  if (kept_in) {
    if (void* const ctx = runtime().get(instance, kept_in)) return ctx;
  }
  void* const ctx = Backend::only([&](const Backend& backend) {
    auto* const address = static_cast<uint8_t*>(const_cast<void*>(backend.seen()));
    return address && runtime().memory_holds(instance, address, nullptr, nullptr);
  });
  if (ctx && kept_in) runtime().set(instance, kept_in, ctx);
  return ctx;
} catch (...) { return nullptr; }

// Of a pointer for one number the runtime checks the first byte only. Memories are whole multiples of eight bytes long,
// so a pointer that is aligned holds all four.
bool aligned(const uint32_t* number) { return reinterpret_cast<uintptr_t>(number) % sizeof(uint32_t) == 0; }

// ---- the functions; the runtime checks the pointers that come with a length

template <wasi_nn_error (*call)(void* ctx, uint32_t handle)>
uint32_t on_handle(void* exec_env, uint32_t handle) {
  return call(context_of(exec_env), handle);
}

uint32_t output_single(void* exec_env, uint32_t exec_ctx, uint32_t index, uint8_t* buffer, uint32_t bytes,
                       uint32_t* written) {
  if (!aligned(written)) return invalid_argument;
  tensor_data output = {.buf = buffer, .size = bytes};
  return get_output_single(context_of(exec_env), exec_ctx, index, &output, written);
}

uint32_t open_context(void* exec_env, uint32_t g, const char* name, uint32_t name_bytes, const char* config,
                      uint32_t config_bytes, uint32_t* exec_ctx) {
  try {
    if (!aligned(exec_ctx) || (!name && name_bytes > 0)) return invalid_argument;
    const std::string session(name ? name : "", name_bytes);
    if (session.find('\0') != session.npos) return invalid_argument;
    return init_execution_context_with_config(context_of(exec_env), g, session.empty() ? nullptr : session.c_str(),
                                              config, config_bytes, exec_ctx);
  } catch (...) { return runtime_error; }
}

uint32_t status(void* exec_env, uint32_t topic, char* buffer, uint32_t bytes) {
  return get_backend_status(context_of(exec_env), static_cast<backend_status_type>(topic), buffer, bytes);
}

template <class Function>
NativeSymbol row(const char* name, Function* function, const char* signature) {
  return {.symbol = name, .func_ptr = reinterpret_cast<void*>(function), .signature = signature};
}

}  // namespace

uint32_t get_native_lib(char** module, NativeSymbol** symbols) {
  // `*~`: a pointer and the length that the runtime checks it with. The runtime sorts the rows and keeps them.
  static NativeSymbol rows[] = {
      row("compute_single", on_handle<compute_single>, "(i)i"),
      row("get_output_single", output_single, "(ii*~*)i"),
      row("fini_single", on_handle<fini_single>, "(i)i"),
      row("cancel", on_handle<cancel>, "(i)i"),
      row("unload", on_handle<unload>, "(i)i"),
      row("init_execution_context_with_config", open_context, "(i*~*~*)i"),
      row("finalize_execution_context", on_handle<finalize_execution_context>, "(i)i"),
      row("get_backend_status", status, "(i*~)i"),
  };
  static char name[] = "wasi_ephemeral_nn";
  if (!module || !symbols) return 0;
  if (runtime().has_places() && !place) place = runtime().new_place(nullptr);
  *module = name;
  *symbols = rows;
  return std::size(rows);
}

void deinit_native_lib() {
  if (void* const old = place.exchange(nullptr)) runtime().end_place(old);
}

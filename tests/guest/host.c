// A host for guest.c, which wasm2c has translated to C: implements `wasi_ephemeral_nn` over libwasi_nn_llamacpp.so as WAMR
// does, from the same two sources: WAMR's own functions, with a `ctx` per instance, and those of get_native_lib().
//   guest_host LIBRARY
#include <dlfcn.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capi/wasi_nn/host.h"
#include "capi/wasi_nn/native_symbols.h"
#include "guest_wasm.h"
#include "wasm-rt-impl.h"

// ---- instances, and what WAMR tells libraries about them

typedef struct Z_wasi_ephemeral_nn_instance_t Instance;
struct Z_wasi_ephemeral_nn_instance_t {
  Z_guest_instance_t guest;
  void* ctx;     // null until a model is loaded
  void* places;  // WAMR has eight; one is enough here
  jmp_buf exit;
  int exit_code;
};

static Instance* of(struct Z_wasi_snapshot_preview1_instance_t* wasi) { return (Instance*)wasi; }

#define VISIBLE __attribute__((visibility("default")))
VISIBLE void* wasm_runtime_get_module_inst(void* exec_env) { return exec_env; }
VISIBLE bool wasm_runtime_get_native_addr_range(void* instance, uint8_t* at, uint8_t** begin, uint8_t** end) {
  (void)begin, (void)end;
  const wasm_rt_memory_t* memory = &((Instance*)instance)->guest.w2c_memory;
  return at >= memory->data && at < memory->data + memory->size;
}
VISIBLE void* wasm_runtime_create_context_key(void (*on_end)(void*, void*)) {
  (void)on_end;
  static char key;
  return &key;
}
VISIBLE void wasm_runtime_destroy_context_key(void* key) { (void)key; }
VISIBLE void* wasm_runtime_get_context(void* instance, void* key) { return (void)key, ((Instance*)instance)->places; }
VISIBLE void wasm_runtime_set_context_spread(void* instance, void* key, void* value) {
  (void)key, ((Instance*)instance)->places = value;
}

// ---- guest memory. What a signature says is a pointer is checked before the call, and a bad one ends the guest; what lies
// in structs is checked by the function, which then answers invalid_argument.

static bool inside(const Instance* i, uint64_t at, uint64_t bytes) { return at + bytes <= i->guest.w2c_memory.size; }
static void* pointer(Instance* i, uint32_t at, uint64_t bytes) {
  if (!inside(i, at, bytes)) wasm_rt_trap(WASM_RT_TRAP_OOB);
  return i->guest.w2c_memory.data + at;
}
static uint32_t word(const Instance* i, uint32_t at) {
  uint32_t value;
  memcpy(&value, i->guest.w2c_memory.data + at, sizeof value);
  return value;
}

// ---- the library

static void* library;
static NativeSymbol* added;
static uint32_t added_count;

static void* must_find(const char* name) {
  void* found = dlsym(library, name);
  if (!found) {
    fprintf(stderr, "host: the library has no %s\n", name);
    exit(2);
  }
  return found;
}
// One of the library's functions of host.h, by its prototype there.
#define CALL(name) ((__typeof__(&name))must_find(#name))

static void* added_function(const char* name, const char* signature) {
  for (uint32_t n = 0; n < added_count; ++n) {
    if (strcmp(added[n].symbol, name) == 0 && strcmp(added[n].signature, signature) == 0) return added[n].func_ptr;
  }
  fprintf(stderr, "host: get_native_lib() gives no %s %s\n", name, signature);
  exit(2);
}

static uint32_t with_backend(Instance* i) { return i->ctx ? success : CALL(init_backend)(&i->ctx); }

// ---- WAMR's own functions. It copies names and configurations and ends them with a zero byte.

#define IMPORT(name) Z_wasi_ephemeral_nnZ_##name

static char* copied(Instance* i, uint32_t at, uint32_t bytes) {
  const char* text = pointer(i, at, bytes);
  char* copy = calloc(bytes + 1ul, 1);
  return memcpy(copy, text, bytes);
}

u32 IMPORT(load)(Instance* i, u32 parts, u32 count, u32 encoding, u32 target, u32 graph_at) {
  pointer(i, parts, 8ull * count);
  graph* g = pointer(i, graph_at, sizeof *g);
  graph_builder* native = calloc(count, sizeof *native);
  uint32_t code = success;
  for (uint32_t n = 0; n < count && code == success; ++n) {
    const uint32_t at = word(i, parts + 8 * n), bytes = word(i, parts + 8 * n + 4);
    if (!inside(i, at, bytes)) code = invalid_argument;
    native[n] = (graph_builder){i->guest.w2c_memory.data + at, bytes};
  }
  graph_builder_array array = {native, count};
  if (code == success) code = with_backend(i);
  if (code == success) code = CALL(load)(i->ctx, &array, (graph_encoding)encoding, (execution_target)target, g);
  free(native);
  return code;
}

u32 IMPORT(load_by_name)(Instance* i, u32 name, u32 name_bytes, u32 graph_at) {
  graph* g = pointer(i, graph_at, sizeof *g);
  char* text = copied(i, name, name_bytes);
  uint32_t code = with_backend(i);
  if (code == success) code = CALL(load_by_name)(i->ctx, text, name_bytes, g);
  free(text);
  return code;
}

u32 IMPORT(load_by_name_with_config)(Instance* i, u32 name, u32 name_bytes, u32 config, u32 config_bytes,
                                     u32 graph_at) {
  graph* g = pointer(i, graph_at, sizeof *g);
  char *text = copied(i, name, name_bytes), *json = copied(i, config, config_bytes);
  uint32_t code = with_backend(i);
  if (code == success) code = CALL(load_by_name_with_config)(i->ctx, text, name_bytes, json, config_bytes, g);
  free(text);
  free(json);
  return code;
}

u32 IMPORT(init_execution_context)(Instance* i, u32 g, u32 context_at) {
  return CALL(init_execution_context)(i->ctx, g, pointer(i, context_at, sizeof(uint32_t)));
}

u32 IMPORT(set_input)(Instance* i, u32 context, u32 index, u32 input) {
  pointer(i, input, 20);
  const uint32_t dims = word(i, input), rank = word(i, input + 4), type = word(i, input + 8);
  const uint32_t data = word(i, input + 12), bytes = word(i, input + 16);
  if (!inside(i, dims, 4ull * rank) || !inside(i, data, bytes)) return invalid_argument;
  uint8_t* const memory = i->guest.w2c_memory.data;
  tensor_dimensions dimensions = {(uint32_t*)(memory + dims), rank};
  tensor native = {&dimensions, (uint8_t)type, {0}, {memory + data, bytes}};
  return CALL(set_input)(i->ctx, context, index, &native);
}

u32 IMPORT(compute)(Instance* i, u32 context) { return CALL(compute)(i->ctx, context); }

u32 IMPORT(get_output)(Instance* i, u32 context, u32 index, u32 buffer, u32 bytes, u32 written) {
  tensor_data out = {pointer(i, buffer, bytes), bytes};
  return CALL(get_output)(i->ctx, context, index, &out, pointer(i, written, sizeof(uint32_t)));
}

// ---- those of get_native_lib(): called as their signatures say. `*~`: checked by its length; `*`: by its first byte.

typedef uint32_t (*OnHandle)(void* exec_env, uint32_t handle);
static uint32_t on_handle(Instance* i, const char* name, uint32_t handle) {
  return ((OnHandle)added_function(name, "(i)i"))(i, handle);
}

static void neighbours(Instance* i, uint32_t context);

u32 IMPORT(compute_single)(Instance* i, u32 context) {
  const uint32_t code = on_handle(i, "compute_single", context);
  if (code == success) neighbours(i, context);
  return code;
}
u32 IMPORT(fini_single)(Instance* i, u32 context) { return on_handle(i, "fini_single", context); }
u32 IMPORT(cancel)(Instance* i, u32 context) { return on_handle(i, "cancel", context); }
u32 IMPORT(unload)(Instance* i, u32 g) { return on_handle(i, "unload", g); }
u32 IMPORT(finalize_execution_context)(Instance* i, u32 context) {
  return on_handle(i, "finalize_execution_context", context);
}

u32 IMPORT(get_output_single)(Instance* i, u32 context, u32 index, u32 buffer, u32 bytes, u32 written) {
  uint32_t (*call)(void*, uint32_t, uint32_t, uint8_t*, uint32_t, uint32_t*) =
      added_function("get_output_single", "(ii*~*)i");
  return call(i, context, index, pointer(i, buffer, bytes), bytes, pointer(i, written, 1));
}

u32 IMPORT(init_execution_context_with_config)(Instance* i, u32 g, u32 name, u32 name_bytes, u32 config,
                                               u32 config_bytes, u32 context_at) {
  uint32_t (*call)(void*, uint32_t, char*, uint32_t, char*, uint32_t, uint32_t*) =
      added_function("init_execution_context_with_config", "(i*~*~*)i");
  return call(i, g, pointer(i, name, name_bytes), name_bytes, pointer(i, config, config_bytes), config_bytes,
              pointer(i, context_at, 1));
}

u32 IMPORT(get_backend_status)(Instance* i, u32 topic, u32 buffer, u32 bytes) {
  uint32_t (*call)(void*, uint32_t, char*, uint32_t) = added_function("get_backend_status", "(i*~)i");
  return call(i, topic, pointer(i, buffer, bytes), bytes);
}

// ---- WASI: what the guest prints, and its end

u32 Z_wasi_snapshot_preview1Z_fd_write(struct Z_wasi_snapshot_preview1_instance_t* wasi, u32 fd, u32 parts, u32 count,
                                       u32 written_at) {
  Instance* i = of(wasi);
  uint32_t written = 0;
  pointer(i, parts, 8ull * count);
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t bytes = word(i, parts + 8 * n + 4);
    written += (uint32_t)fwrite(pointer(i, word(i, parts + 8 * n), bytes), 1, bytes, fd == 1 ? stdout : stderr);
  }
  memcpy(pointer(i, written_at, sizeof written), &written, sizeof written);
  return 0;
}

void Z_wasi_snapshot_preview1Z_proc_exit(struct Z_wasi_snapshot_preview1_instance_t* wasi, u32 code) {
  of(wasi)->exit_code = (int)code;
  longjmp(of(wasi)->exit, 1);
}

// ---- running guests

static int failures;
static void expect(const char* what, uint32_t got, uint32_t expected) {
  if (got == expected) return;
  ++failures;
  fprintf(stderr, "FAILED: host: %s is %u, expected %u\n", what, got, expected);
}

static void start(Instance* i) {
  *i = (Instance){.ctx = NULL};
  Z_guest_instantiate(&i->guest, i, (struct Z_wasi_snapshot_preview1_instance_t*)i);
}
static int run(Instance* i) {
  if (setjmp(i->exit) == 0) Z_guestZ__start(&i->guest);
  return i->exit_code;
}
static void end(Instance* i) {
  if (i->ctx) expect("deinit_backend", CALL(deinit_backend)(i->ctx), success);
  Z_guest_free(&i->guest);
}

static bool instances_are_known(void) { return dlsym(RTLD_DEFAULT, "wasm_runtime_get_module_inst") != NULL; }

// While a guest is in the middle of its stream, others try its handles. Once.
static void neighbours(Instance* i, uint32_t context) {
  static bool done;
  if (done) return;
  done = true;
  if (!instances_are_known()) {
    // Then a second ctx makes it unclear whose call it is, and nobody is served until it is gone.
    void* other = NULL;
    expect("a second ctx", CALL(init_backend)(&other), success);
    expect("compute_single with two ctx", on_handle(i, "compute_single", context), invalid_argument);
    expect("unload with two ctx", on_handle(i, "unload", 2), invalid_argument);
    expect("the second ctx's end", CALL(deinit_backend)(other), success);
    return;
  }
  static Instance neighbour;
  start(&neighbour);
  const char* const names[] = {"compute_single", "fini_single", "cancel", "finalize_execution_context", "unload"};
  for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
    for (uint32_t handle = 0; handle < 4; ++handle) expect(names[n], on_handle(&neighbour, names[n], handle), 1);
  }
  // Its own handles have the same numbers; both guests get their own text.
  expect("the neighbour", (uint32_t)run(&neighbour), 0);
  end(&neighbour);
}

int main(int count, char** arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
  if (!library) {
    fprintf(stderr, "host: %s\nusage: guest_host LIBRARY\n", count == 2 ? dlerror() : "no library given");
    return 2;
  }
  char* module = NULL;
  added_count = CALL(get_native_lib)(&module, &added);
  if (strcmp(module, "wasi_ephemeral_nn") != 0) return 2;
  printf("host: %u functions added; instances are %s\n", added_count, instances_are_known() ? "known" : "not known");

  wasm_rt_init();
  Z_guest_init_module();
  const wasm_rt_trap_t trap = wasm_rt_impl_try();
  if (trap != WASM_RT_TRAP_NONE) {
    fprintf(stderr, "FAILED: the guest ended with: %s\n", wasm_rt_strerror(trap));
    return 1;
  }
  static Instance guest;
  start(&guest);
  expect("the guest", (uint32_t)run(&guest), 0);
  end(&guest);
  CALL(deinit_native_lib)();
  wasm_rt_free();
  return failures > 0;
}

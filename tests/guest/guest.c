// A guest that does what guests do with a language model, and checks each answer. It runs translated to C (host.c) and on
// WAMR's iwasm; compiled with WASMEDGE, on WasmEdge, whose guests know models by names of the host's and have no sessions.
// Without stdio, so that hosts need two functions of WASI only: fd_write and proc_exit.
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#include "nn.h"

static int checks, failures;

static void print(const char* text) {
  const __wasi_ciovec_t part = {(const uint8_t*)text, strlen(text)};
  __wasi_size_t written;
  if (__wasi_fd_write(1, &part, 1, &written) != 0) ++failures;
}

static void print_number(uint32_t n) {
  char digits[11];
  char* at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  print(at);
}

static void expect(const char* what, uint32_t got, uint32_t expected) {
  ++checks;
  if (got == expected) return;
  ++failures;
  print("FAILED: ");
  print(what);
  print(" is ");
  print_number(got);
  print(", expected ");
  print_number(expected);
  print("\n");
}
#define EXPECT(call, expected) expect(#call, (uint32_t)(call), expected)

#define TEXT(literal) literal, sizeof literal - 1

static uint32_t set_prompt(uint32_t context, const char* prompt) {
  const uint32_t dims[] = {1};  // as the public guests have it: what counts is the data's length
  const nn_tensor input = {dims, 1, nn_u8, (const uint8_t*)prompt, strlen(prompt)};
  return nn_set_input(context, 0, &input);
}

// WAMR checks the first byte of such a pointer only, so Linnet wants them aligned there.
#ifdef WASMEDGE
enum { kNotAligned = nn_success };
#else
enum { kNotAligned = nn_invalid_argument };
#endif

static const char* const kPrompt = "Once upon a time there was a little fox";

#ifdef WASMEDGE
static void loading(uint32_t* graph) {
  EXPECT(nn_load_by_name(TEXT("no-such-model.gguf"), graph), nn_not_found);
  EXPECT(nn_load_by_name(TEXT("no-such-file"), graph), nn_model_not_found);
  const nn_part path = {(const uint8_t*)TEXT("preload:demo.gguf")};
  EXPECT(nn_load(&path, 1, nn_ggml, nn_cpu, graph), nn_invalid_argument);
  EXPECT(nn_load((const nn_part*)0xfffffff0, 1, nn_ggml, nn_cpu, graph), nn_invalid_argument);
  EXPECT(nn_load_by_name_with_config((const char*)0xffff0000, 5, TEXT("{}"), graph), nn_invalid_argument);
  EXPECT(nn_load_by_name_with_config(TEXT("demo.gguf"), TEXT("{\"temp\":"), graph), nn_invalid_encoding);
  EXPECT(nn_load_by_name_with_config(TEXT("demo.gguf"), TEXT("{\"temp\":\"hot\"}"), graph), nn_invalid_argument);
  EXPECT(nn_load_by_name_with_config(TEXT("demo.gguf"), TEXT("{}"), (uint32_t*)0xfffffffe), nn_invalid_argument);
  EXPECT(*graph, 0);  // not touched so far
  EXPECT(nn_load_by_name_with_config(TEXT("demo.gguf"),
                                     TEXT("{\"ctx-size\":512,\"n-predict\":24,\"temp\":0,\"llama3\":true}"), graph),
         nn_success);
}
#else
static void loading(uint32_t* graph) {
  EXPECT(nn_load_by_name(TEXT("no-such-model.gguf"), graph), nn_model_not_found);
  uint32_t other = 0;
  const nn_part parts[] = {{(const uint8_t*)TEXT("preload:demo.gguf")}, {(const uint8_t*)TEXT("{\"ctx-size\":256}")}};
  EXPECT(nn_load(parts, 2, nn_ggml, nn_cpu, &other), nn_success);
  const nn_part garbage = {(const uint8_t*)TEXT("this is no model")};
  EXPECT(nn_load(&garbage, 1, nn_ggml, nn_cpu, graph), nn_runtime_error);
  EXPECT(nn_load_by_name_with_config(TEXT("demo.gguf"),
                                     TEXT("{\"ctx-size\":512,\"n-predict\":24,\"temp\":0,\"llama3\":true}"), graph),
         nn_success);
  EXPECT(*graph != other, 1);
  EXPECT(nn_unload(other), nn_success);
  EXPECT(nn_unload(other), nn_invalid_argument);
}

#endif

// Leaves the text of a computation in `text`; its length.
static uint32_t computing(uint32_t context, char* text, uint32_t room) {
  uint32_t bytes = 0, needed = 0;
  EXPECT(nn_compute(context), nn_invalid_argument);  // no input yet
  EXPECT(set_prompt(context, kPrompt), nn_success);
  EXPECT(nn_get_output(context, 0, text, room, &bytes), nn_runtime_error);  // nothing computed yet
  EXPECT(nn_get_output(context, 1, text, room - 1, &bytes), nn_success);
  text[bytes] = 0;
  EXPECT(strstr(text, "\"input_tokens\":") != 0 && strstr(text, "\"input_tokens\":0") == 0, 1);
  EXPECT(strstr(text, "\"output_tokens\":0") != 0, 1);

  EXPECT(nn_compute(context), nn_success);
  EXPECT(nn_get_output(context, 1, text, room - 1, &bytes), nn_success);
  text[bytes] = 0;
  EXPECT(strstr(text, "\"output_tokens\":24") != 0, 1);

  EXPECT(nn_get_output(context, 0, text, 3, &needed), nn_too_large);
  EXPECT(needed > 3 && needed < room, 1);
  text[needed] = '#';
  EXPECT(nn_get_output(context, 0, text, needed, &bytes), nn_success);
  EXPECT(bytes, needed);
  EXPECT(text[needed], '#');  // not a byte more
  EXPECT(nn_get_output(context, 2, text, room, &bytes), nn_invalid_argument);
  EXPECT(nn_get_output(context + 1000, 0, text, room, &bytes), nn_invalid_argument);
  return needed;
}

static void streaming(uint32_t context, const char* whole, uint32_t whole_bytes) {
  char* text = malloc(whole_bytes + 64);
  uint32_t bytes = 0, length = 0, pieces = 0, code;
  EXPECT(set_prompt(context, kPrompt), nn_success);
  while ((code = nn_compute_single(context)) == nn_success) {
    // Memory that grows may move: the host must not keep pointers into it.
    if (++pieces == 2) EXPECT(__builtin_wasm_memory_grow(0, 4) != (size_t)-1, 1);
    if (nn_get_output_single(context, 0, text + length, whole_bytes + 64 - length, &bytes) != nn_success) break;
    length += bytes;
  }
  EXPECT(code, nn_end_of_sequence);
  EXPECT(pieces > 1, 1);
  EXPECT(length, whole_bytes);
  EXPECT(memcmp(text, whole, whole_bytes), 0);
  EXPECT(nn_get_output_single(context, 0, text, 64, (uint32_t*)(text + 1)), kNotAligned);
  EXPECT(nn_fini_single(context), nn_success);
  EXPECT(nn_compute_single(context), nn_invalid_argument);  // its input is used up

  EXPECT(set_prompt(context, kPrompt), nn_success);
  EXPECT(nn_compute_single(context), nn_success);
  EXPECT(nn_fini_single(context), nn_success);  // in the middle
  free(text);
}

#ifndef WASMEDGE
static void sessions(uint32_t graph) {
  uint32_t ann = 0, again = 0, ben = 0, nobody = 0;
  EXPECT(nn_init_execution_context_with_config(graph, TEXT("ann"), TEXT("{\"n-predict\":4}"), &ann), nn_success);
  EXPECT(nn_init_execution_context_with_config(graph, TEXT("ann"), TEXT(""), &again), nn_success);
  EXPECT(nn_init_execution_context_with_config(graph, TEXT("ben"), TEXT(""), &ben), nn_success);
  EXPECT(nn_init_execution_context_with_config(graph, TEXT(""), TEXT(""), &nobody), nn_success);
  EXPECT(nn_init_execution_context_with_config(graph, TEXT("a\0b"), TEXT(""), &nobody), nn_invalid_argument);
  EXPECT(again, ann);
  EXPECT(nn_cancel(ann), nn_success);  // nothing to cancel
  EXPECT(ben != ann && nobody != ann && nobody != ben, 1);

  char text[256];
  uint32_t bytes = 0;
  EXPECT(set_prompt(ann, kPrompt), nn_success);
  EXPECT(nn_compute(ann), nn_success);
  EXPECT(nn_get_output(ann, 1, text, sizeof text - 1, &bytes), nn_success);
  text[bytes] = 0;
  EXPECT(strstr(text, "\"output_tokens\":4") != 0, 1);

  char status[4096];
  EXPECT(nn_get_backend_status(2, status, sizeof status), nn_success);
  EXPECT(status[0], '{');
  EXPECT(nn_get_backend_status(2, status, 1), nn_too_large);
}
#endif

int main(void) {
  uint32_t graph = 0, context = 0;
  static char text[4096];
  loading(&graph);
  EXPECT(nn_init_execution_context(graph + 1000, &context), nn_invalid_argument);
  EXPECT(nn_init_execution_context(graph, &context), nn_success);
  const uint32_t bytes = computing(context, text, sizeof text);
  streaming(context, text, bytes);
#ifndef WASMEDGE
  sessions(graph);
#endif
  EXPECT(nn_finalize_execution_context(context), nn_success);
  EXPECT(nn_finalize_execution_context(context), nn_invalid_argument);
  EXPECT(nn_unload(graph), nn_success);
  EXPECT(nn_init_execution_context(graph, &context), nn_invalid_argument);

  print("guest: ");
  print_number((uint32_t)checks);
  print(" checks, ");
  print_number((uint32_t)failures);
  print(" failed\n");
  return failures > 0;
}

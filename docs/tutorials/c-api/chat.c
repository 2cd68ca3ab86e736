/* A conversation with a model through Linnet's C API:
 *
 *     chat MODEL.gguf "My name is Anna." "What is my name?"
 *
 * says each message in turn, shows the answers as they are generated, and tells in the end what it took. */
#include <linnet/linnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kRuntime[] = "{\"log_level\":\"warn\"}";
static const char kModel[] = "{\"ctx_size\":1024}";
static const char kRequest[] = "{\"temp\":0,\"max_tokens\":60}";

/* Every function gives a code, and beside it a sentence for people. */
static void check(int32_t code, const linnet_error* error, const char* what) {
  if (code == LINNET_OK) return;
  fprintf(stderr, "%s: %s (%s, %s)\n", what, error->message, linnet_code_name((linnet_code)code), error->name);
  exit(1);
}

/* Called with whole characters as they come; another value than 0 would cancel. */
static int32_t show(void* context, const char* text, size_t bytes) {
  (void)context;
  fwrite(text, 1, bytes, stdout);
  fflush(stdout);
  return 0;
}

static void say(linnet_runtime runtime, linnet_session session, const char* message) {
  linnet_error error;
  linnet_request request = {.size = sizeof request};
  linnet_completion completion = {.size = sizeof completion};
  request.input = message;
  request.input_bytes = strlen(message);
  request.config = kRequest;
  request.config_bytes = sizeof kRequest - 1;
  request.on_text = show;
  printf("> %s\n", message);
  check(linnet_generate(runtime, session, &request, &completion, &error), &error, "generate");
  printf("\n[%s, %zu tokens, %lld of %lld prompt tokens were known already]\n", completion.finish_reason,
         completion.token_count, (long long)completion.cached_tokens, (long long)completion.prompt_tokens);
  linnet_completion_free(&completion);
}

/* A text whose length nobody knows before: ask for the size, then for the text. */
static char* status(linnet_runtime runtime, linnet_topic topic) {
  linnet_error error;
  size_t needed = 0;
  int32_t code = linnet_status(runtime, topic, NULL, 0, &needed, &error);
  for (;;) {
    check(code, &error, "status");
    const size_t room = needed + 256; /* it may have grown when we come back */
    char* text = malloc(room);
    if (text == NULL) abort();
    code = linnet_status(runtime, topic, text, room, &needed, &error);
    if (code == LINNET_OK) return text;
    free(text);
    if (code == LINNET_TOO_LARGE) code = LINNET_OK;
  }
}

int main(int argc, char** argv) {
  linnet_error error;
  linnet_runtime runtime;
  linnet_model model;
  linnet_session session;
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL.gguf MESSAGE...\n", argv[0]);
    return 2;
  }
  check(linnet_runtime_create(kRuntime, sizeof kRuntime - 1, NULL, NULL, &runtime, &error), &error, "runtime");
  check(linnet_model_load(runtime, argv[1], strlen(argv[1]), kModel, sizeof kModel - 1, &model, &error), &error,
        "model");
  check(linnet_session_open(runtime, model, NULL, 0, NULL, 0, &session, &error), &error, "session");
  for (int i = 2; i < argc; ++i) say(runtime, session, argv[i]);
  char* text = status(runtime, LINNET_STATUS_PERFORMANCE);
  printf("%s\n", text);
  free(text);
  check(linnet_runtime_destroy(runtime, &error), &error, "destroy"); /* with its models and sessions */
  return 0;
}

/* Linnet for C, and for everything that can call C: models, sessions, generation, status.

   Conventions
    1. Every function that can fail returns a linnet_code: LINNET_OK (0) or what kind of failure it was. When `error` is
       not NULL it then holds the code's finer name and a sentence: what was expected, what was found, what to do.
       Nothing aborts, exits, prints or throws; bad handles, NULL where a value is needed and bytes that are no UTF-8
       are errors like any other.
    2. Handles are numbers that count up from 1 and are never used again; 0 is never one. A handle that was closed is an
       error (LINNET_NOT_FOUND), however late it is used. Models and sessions belong to their runtime and end with it.
    3. Texts are UTF-8 with their length in bytes beside them, and need no zero at the end. Those that Linnet gives are
       followed by a zero byte that is not counted. NULL with length 0 is the empty text.
    4. What a function is given it copies, and keeps no pointer to it after it returned; except the log's and the
       request's callbacks with their contexts, which have to live as long as the runtime and as the call.
    5. What a function writes into memory of the caller: `capacity` says how much of it there is, and `*needed` (may be
       NULL) becomes how much the whole takes, of texts with their zero byte. When it does not fit the answer is
       LINNET_TOO_LARGE and nothing is written; NULL with capacity 0 asks only for the size.
    6. Every function may be called from any thread at any time; calls for one session take turns, in the order in which
       they came. A callback may not generate or close (that is an error, not a deadlock); cancelling is allowed.
    7. Configurations are JSON objects with the keys of docs/options.md, nested or flat. In order of growing force:
       defaults, runtime, model, session, request. What cannot be used is left out with a warning in the log, unless
       "strict": true stands in any of the layers above; then it is an error.
    8. Structs begin with `size`, set to sizeof by the caller; they grow at their end only. */
#ifndef LINNET_H
#define LINNET_H

#include <stddef.h>
#include <stdint.h>

#include "linnet_sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define LINNET_EXPORT __declspec(dllexport)
#else
#define LINNET_EXPORT __attribute__((visibility("default")))
#endif

typedef uint32_t linnet_runtime;
typedef uint32_t linnet_model;
typedef uint32_t linnet_session;
typedef uint32_t linnet_stream;

typedef enum linnet_code {
  LINNET_OK = 0,
  LINNET_INVALID_ARGUMENT = 1, /* a value that has no meaning here */
  LINNET_NOT_FOUND = 2,        /* a handle that is none (any more), or a file that is not there */
  LINNET_CONFIGURATION = 3,    /* options that cannot be used, in strict mode; a grammar or chain that is none */
  LINNET_MODEL = 4,            /* the file is no model, a damaged one or one of a kind that is not supported */
  LINNET_OUT_OF_MEMORY = 5,    /* the system's, or beyond max_memory_mb */
  LINNET_BUSY = 6,             /* the queue is full, or a limit of sessions is reached */
  LINNET_TIMEOUT = 7,          /* a deadline in the queue or for the first token passed */
  LINNET_CANCELLED = 8,        /* closed or cancelled before there was a result */
  LINNET_TOO_LARGE = 9,        /* the result needs more room than was given */
  LINNET_PROMPT_TOO_LONG = 10, /* the prompt does not fit into the context */
  LINNET_CONTEXT_FULL = 11,    /* the session has no room for an answer */
  LINNET_END = 12,             /* of a stream: there is no more */
  LINNET_UNSUPPORTED = 13,     /* this build, model or machine cannot do that */
  LINNET_IO = 14,              /* reading or writing failed */
  LINNET_INTERNAL = 15         /* a mistake of Linnet's; please report the sentence */
} linnet_code;

typedef struct linnet_error {
  char name[64];     /* "gguf_magic", "option_range", ... */
  char message[960]; /* cut at a character's end when it is longer */
} linnet_error;

/* "0.1.0" */
LINNET_EXPORT const char* linnet_version(void);
LINNET_EXPORT const char* linnet_code_name(int32_t code); /* "not_found"; "unknown" for another number */

/* ---- Runtimes: each has its own models, sessions, queue, log and limits. ---- */

/* Called for every line of the log that its level lets through, from any thread, one at a time. `level` is 0 debug,
   1 info, 2 warning, 3 error; `tag` names the part that speaks ("PERF", "MEM", "TASK", ...). */
typedef void (*linnet_log_callback)(void* context, int32_t level, const char* tag, const char* message, size_t bytes);

/* `config`: keys of all groups. Starts no thread and reads no file but the ones that the log and sampler_libraries name.
   `log` may be NULL: then the log goes where `logging` says, and to standard error when that says nothing. */
LINNET_EXPORT int32_t linnet_runtime_create(const char* config, size_t config_bytes, linnet_log_callback log,
                                            void* log_context, linnet_runtime* runtime, linnet_error* error);
/* Cancels what runs, waits for calls that are under way, frees everything. */
LINNET_EXPORT int32_t linnet_runtime_destroy(linnet_runtime runtime, linnet_error* error);
/* Adds samplers that chains may name (capi/linnet_sampler.h); the library and its samplers have to stay valid as long as
   the runtime. */
LINNET_EXPORT int32_t linnet_runtime_add_samplers(linnet_runtime runtime, const linnet_sampler_library* library,
                                                  linnet_error* error);

/* ---- Models ---- */

/* Loads a GGUF file. The same path with the same configuration again gives the model that is there already. */
LINNET_EXPORT int32_t linnet_model_load(linnet_runtime runtime, const char* path, size_t path_bytes, const char* config,
                                        size_t config_bytes, linnet_model* model, linnet_error* error);
/* The same from bytes in memory, which are copied. */
LINNET_EXPORT int32_t linnet_model_load_bytes(linnet_runtime runtime, const void* bytes, size_t byte_count,
                                              const char* config, size_t config_bytes, linnet_model* model,
                                              linnet_error* error);
/* Hot swap: loads the new model, lets running requests of the old one come to their end (or cancels them after
   swap_timeout_ms), closes its sessions, frees it. `*model` becomes the new handle. On any failure the old model and its
   sessions stay as they were; sessions of other models notice nothing. The same path and configuration as the old one's:
   nothing happens. */
LINNET_EXPORT int32_t linnet_model_replace(linnet_runtime runtime, linnet_model old_model, const char* path,
                                           size_t path_bytes, const char* config, size_t config_bytes,
                                           linnet_model* model, linnet_error* error);
/* Closes its sessions (cancelling what they run) and frees the model. */
LINNET_EXPORT int32_t linnet_model_unload(linnet_runtime runtime, linnet_model model, linnet_error* error);

#define LINNET_TOKENIZE_SPECIAL 1u /* read special tokens in the text: "<|im_end|>" */
#define LINNET_TOKENIZE_BOS 2u     /* begin with BOS (and end with EOS) where the vocabulary wants it */
LINNET_EXPORT int32_t linnet_tokenize(linnet_runtime runtime, linnet_model model, const char* text, size_t text_bytes,
                                      uint32_t flags, int32_t* tokens, size_t capacity, size_t* needed,
                                      linnet_error* error);
/* The bytes of tokens (pieces of UTF-8, where tokens are); `special`: those of special tokens too. */
LINNET_EXPORT int32_t linnet_detokenize(linnet_runtime runtime, linnet_model model, const int32_t* tokens,
                                        size_t token_count, int32_t special, char* text, size_t capacity,
                                        size_t* needed, linnet_error* error);
/* One vector of length 1 for a text: the last hidden states, pooled as the model says (the last token's where it says
   nothing). `capacity` and `*needed` count floats. */
LINNET_EXPORT int32_t linnet_embed(linnet_runtime runtime, linnet_model model, const char* text, size_t text_bytes,
                                   float* vector, size_t capacity, size_t* needed, linnet_error* error);

/* ---- Sessions: conversations with one model ---- */

/* `name` NULL: an anonymous session, of which there may be max_concurrent. A name that is already open with this model
   gives that session (its configuration stays as it is when `config` is empty, else it is replaced). There may be
   max_sessions of these; with auto_cleanup the idle and then the longest unused ones make room, without it the answer is
   LINNET_BUSY. */
LINNET_EXPORT int32_t linnet_session_open(linnet_runtime runtime, linnet_model model, const char* name,
                                          size_t name_bytes, const char* config, size_t config_bytes,
                                          linnet_session* session, linnet_error* error);
/* Cancels what the session runs, waits for its end, and forgets it. */
LINNET_EXPORT int32_t linnet_session_close(linnet_runtime runtime, linnet_session session, linnet_error* error);
/* An anonymous session with the same history; what is computed is shared. */
LINNET_EXPORT int32_t linnet_session_fork(linnet_runtime runtime, linnet_session session, linnet_session* copy,
                                          linnet_error* error);
/* Forgets the history. */
LINNET_EXPORT int32_t linnet_session_reset(linnet_runtime runtime, linnet_session session, linnet_error* error);
/* The history and what is computed of it, as a file: whole or not at all, never half. */
LINNET_EXPORT int32_t linnet_session_save(linnet_runtime runtime, linnet_session session, const char* path,
                                          size_t path_bytes, linnet_error* error);
/* Replaces the session's history by a file's. With the model that it was saved with the computed part counts, with
   another one the history is computed again. */
LINNET_EXPORT int32_t linnet_session_resume(linnet_runtime runtime, linnet_session session, const char* path,
                                            size_t path_bytes, linnet_error* error);

/* ---- Generation ---- */

typedef struct linnet_request {
  size_t size; /* sizeof(linnet_request) */
  const char* input;
  size_t input_bytes;
  const int32_t* tokens; /* instead of `input`: the prompt as it is */
  size_t token_count;
  int32_t raw; /* 0: `input` is the user's next message, and the answer joins the history. 1: `input` is the whole
                         prompt, special tokens included, and the history stays as it is */
  const char* config; /* sampling, stopping, priority and deadlines of this request */
  size_t config_bytes;
  /* Called with text as it is generated, whole characters; other than 0 cancels. Or NULL. */
  int32_t (*on_text)(void* context, const char* text, size_t bytes);
  void* context;
} linnet_request;

/* Everything belongs to the completion until linnet_completion_free(). */
typedef struct linnet_completion {
  size_t size; /* sizeof(linnet_completion), set by the caller */
  const char* text;
  size_t text_bytes;
  const int32_t* tokens; /* generated */
  size_t token_count;
  int64_t prompt_tokens;
  int64_t cached_tokens;     /* of the prompt, not computed again */
  int64_t discarded_tokens;  /* forgotten by context shifts */
  const char* finish_reason; /* "eog", "stop_string", "max_tokens", ... (docs/stopping.md) */
  const char* json;          /* all of this and scores, notes, timings: what `linnet run --json` prints */
  size_t json_bytes;
  void* memory; /* Linnet's */
} linnet_completion;

/* Runs one request and waits for it. An error leaves `completion` empty (nothing to free). */
LINNET_EXPORT int32_t linnet_generate(linnet_runtime runtime, linnet_session session, const linnet_request* request,
                                      linnet_completion* completion, linnet_error* error);
LINNET_EXPORT void linnet_completion_free(linnet_completion* completion); /* NULL and empty ones are fine */
/* Ends what the session runs or waits for, within one step; its calls return what there is, finish reason "cancelled".
   Does nothing when nothing runs. */
LINNET_EXPORT int32_t linnet_cancel(linnet_runtime runtime, linnet_session session, linnet_error* error);

/* The same piece by piece: start, next until LINNET_END, finish. The request runs by itself, next waits for it. A session
   has one stream at a time, which ends with it. */
LINNET_EXPORT int32_t linnet_stream_start(linnet_runtime runtime, linnet_session session, const linnet_request* request,
                                          linnet_stream* stream, linnet_error* error);
/* The next piece of text (*bytes > 0), valid until the next call for this stream; one thread at a time. */
LINNET_EXPORT int32_t linnet_stream_next(linnet_runtime runtime, linnet_stream stream, const char** text, size_t* bytes,
                                         linnet_error* error);
/* Ends the stream (cancelling what is still to come); `completion` may be NULL. */
LINNET_EXPORT int32_t linnet_stream_finish(linnet_runtime runtime, linnet_stream stream, linnet_completion* completion,
                                           linnet_error* error);

/* ---- What is going on ---- */

typedef enum linnet_topic {
  LINNET_STATUS_QUEUE = 0,
  LINNET_STATUS_MEMORY = 1,
  LINNET_STATUS_SESSIONS = 2,
  LINNET_STATUS_PERFORMANCE = 3,
  LINNET_STATUS_MODEL = 4,
  LINNET_STATUS_ALL = 5,       /* one object with the five others */
  LINNET_STATUS_CONFIG = 6,    /* every option of the runtime: value, origin */
  LINNET_STATUS_PROMETHEUS = 7 /* the numbers of the five as Prometheus text */
} linnet_topic;

LINNET_EXPORT int32_t linnet_status(linnet_runtime runtime, int32_t topic, char* text, size_t capacity, size_t* needed,
                                    linnet_error* error);
/* The effective options of a session (of its model when `session` is 0, of the runtime when both are), as JSON. */
LINNET_EXPORT int32_t linnet_config(linnet_runtime runtime, linnet_model model, linnet_session session, char* text,
                                    size_t capacity, size_t* needed, linnet_error* error);
/* What a model would take, as JSON, without loading it: weights, KV cache, workspace, vocabulary, and whether it fits. */
LINNET_EXPORT int32_t linnet_plan(const char* path, size_t path_bytes, const char* config, size_t config_bytes,
                                  char* text, size_t capacity, size_t* needed, linnet_error* error);

#ifdef __cplusplus
}
#endif

#endif

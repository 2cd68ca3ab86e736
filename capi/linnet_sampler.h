/* Samplers as shared libraries: the interface between Linnet and a sampler written in C, or in anything that can
   export a C function. A worked example: docs/tutorials/custom-sampler.md.

   A library exports one function, linnet_sampler_v1(), which returns a table of samplers. A configuration names the
   library's file in `sampler_libraries`, and a sampler, by its name, as a step of its chain.

   Conventions
   1. Every request that uses a sampler has an instance of its own, made by create() (or clone()) and ended by
      destroy(). An instance is used by one thread at a time, not always the same; different instances by several threads
      at once. The functions may not call Linnet except through the pointers they are given.
   2. What a function is given is valid until it returns, what it wants to keep it copies. The library's table, its
      samplers and their names stay valid as long as the library is loaded; it is unloaded after the last destroy().
   3. Texts are UTF-8 with their length in bytes beside them; those that Linnet gives are followed by a zero byte too.
   4. A function that returns int32_t returns 0 for success. For anything else it may leave a sentence in `error`
      (error_bytes long, at first empty, ended by a zero byte): what was expected, what was found, what to do. The request
      ends with it, and no other.
   5. Linnet checks everything that apply() leaves behind. It cannot check memory: a library is trusted like the program
      that loads it, so a host takes the names of libraries from whoever installs software, never from a request.
   6. Structs grow at their end only, and `size` says how much of one is there. A change that old libraries would not
      survive gets another function name than linnet_sampler_v1. */
#ifndef LINNET_SAMPLER_H
#define LINNET_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_SAMPLER_VERSION 1u

#if defined(_WIN32)
#define LINNET_SAMPLER_EXPORT __declspec(dllexport)
#else
#define LINNET_SAMPLER_EXPORT __attribute__((visibility("default")))
#endif

/* A member of the object `custom_parameters`. */
enum linnet_parameter_type {
  LINNET_PARAMETER_NUMBER = 1,
  LINNET_PARAMETER_BOOLEAN = 2, /* `number` is 0 or 1 */
  LINNET_PARAMETER_TEXT = 3,
  LINNET_PARAMETER_JSON = 4 /* null, an array or an object */
};

typedef struct linnet_parameter {
  const char* name;
  int32_t type;
  double number;    /* of a number or boolean */
  const char* text; /* of a text its bytes, of everything else its JSON */
  size_t text_bytes;
} linnet_parameter;

/* What an instance is made for. */
typedef struct linnet_sampler_input {
  size_t size; /* of this struct, in bytes */
  int32_t vocabulary_size;
  int64_t context;                    /* tokens that a text may have, prompt included */
  const linnet_parameter* parameters; /* [parameter_count]; a sampler refuses those that it does not know */
  size_t parameter_count;

  /* The vocabulary; `host` is its first argument. The functions and the texts stay valid until destroy(). A token
     outside the vocabulary has no text and ends nothing. */
  const void* host;
  const char* (*token_text)(const void* host, int32_t token, size_t* bytes);
  int32_t (*token_ends_text)(const void* host, int32_t token); /* 1 for an end-of-generation token */
} linnet_sampler_input;

/* One token to choose. The n-th entry of each array belongs to the n-th candidate; candidates are the tokens that
   earlier steps of the chain left, in the order of their ids. */
typedef struct linnet_sampler_step {
  size_t size;  /* of this struct, in bytes */
  size_t count; /* of candidates, at least 1 */
  const int32_t* ids;
  const double* p; /* softmax of the logits as they were given */
  float* logits;   /* may be changed: to a finite number, or to -INFINITY, which drops the token */
  uint8_t* keep;   /* all 1; set to 0 to drop the token. At least one must stay */
  int32_t picked;  /* -1; a sampler that selects sets it to an id that stays, no other may change it */

  int32_t vocabulary_size;
  uint64_t position;      /* of the token to choose, counted from the beginning of the text */
  const int32_t* history; /* [history_count]: the tokens of the text so far */
  size_t history_count;

  /* A number in [0, 1), uniform: a function of the request's seed, the position and `index`. With these numbers, and
     no others, the same seed makes the same text; `host` is the first argument. */
  const void* host;
  double (*random)(const void* host, uint32_t index);
} linnet_sampler_step;

enum linnet_sampler_flags {
  LINNET_SAMPLER_SELECTS = 1 /* picks the token: the last step of its chain */
};

/* A kind of sampler. `state` is whatever create() made of it, NULL included. */
typedef struct linnet_sampler {
  size_t size;      /* sizeof(linnet_sampler) */
  const char* name; /* 1 to 64 letters, digits, '_', '-', '.' */
  uint32_t flags;

  int32_t (*create)(const linnet_sampler_input* input, void** state, char* error, size_t error_bytes);
  /* The same state, text, logits and random numbers have the same result, however often apply() is called. */
  int32_t (*apply)(void* state, linnet_sampler_step* step, char* error, size_t error_bytes);
  /* A token is now part of the text; `generated` is 0 for the prompt's. The state must be a function of the tokens since
     the beginning: to take tokens back, Linnet calls reset() and accepts the shorter text again. NULL, with reset: the
     sampler has no state. */
  int32_t (*accept)(void* state, int32_t token, int32_t generated, char* error, size_t error_bytes);
  int32_t (*clone)(const void* state, void** copy, char* error, size_t error_bytes);
  /* As after create(). */
  void (*reset)(void* state);
  void (*destroy)(void* state);
  /* Writes the parameters and the state for status output, cut to `bytes` and ended by a zero byte. NULL: nothing to
     say. */
  void (*describe)(const void* state, char* text, size_t bytes);
} linnet_sampler;

typedef struct linnet_sampler_library {
  uint32_t version; /* LINNET_SAMPLER_VERSION */
  uint32_t count;   /* of samplers, 1 to 256 */
  const linnet_sampler* const* samplers;
} linnet_sampler_library;

/* What a library exports. */
LINNET_SAMPLER_EXPORT const linnet_sampler_library* linnet_sampler_v1(void);

#ifdef __cplusplus
}
#endif

#endif

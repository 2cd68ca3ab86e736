// p-less sampling as a sampler library for Linnet. The walk through this file: docs/tutorials/custom-sampler.md.
//
// The probability that two independent draws are the same token is L = sum p_i^2. p-less keeps the tokens that are at
// least that likely, p_i >= L: the surer the model, the fewer. With the parameter "normalized", the threshold is
// (n L - 1) / (n - 1), n the number of tokens, which is 0 where all are equally likely and L where one is certain.
// Source: Tan, Wu, Howard, "p-less sampling", 2025, arXiv 2509.23234.
#include "linnet_sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct p_less {
  int normalized;
};

static int32_t create(const linnet_sampler_input* input, void** state, char* error, size_t error_bytes) {
  struct p_less made = {0};
  for (size_t i = 0; i < input->parameter_count; ++i) {
    const linnet_parameter* given = &input->parameters[i];
    if (strcmp(given->name, "normalized") != 0) {
      snprintf(error, error_bytes, "there is no parameter \"%.40s\", expected normalized (true or false)", given->name);
      return 1;
    }
    if (given->type != LINNET_PARAMETER_BOOLEAN) {
      snprintf(error, error_bytes, "normalized is %.40s, expected true or false", given->text);
      return 1;
    }
    made.normalized = given->number != 0;
  }
  struct p_less* p_less = malloc(sizeof *p_less);
  if (!p_less) {
    snprintf(error, error_bytes, "no memory is left for %zu bytes", sizeof *p_less);
    return 1;
  }
  *p_less = made;
  *state = p_less;
  return 0;
}

static int32_t apply(void* state, linnet_sampler_step* step, char* error, size_t error_bytes) {
  (void)error, (void)error_bytes;  // nothing can go wrong here
  const struct p_less* p_less = state;
  double threshold = 0;
  for (size_t i = 0; i < step->count; ++i) threshold += step->p[i] * step->p[i];
  if (p_less->normalized && step->count > 1) {
    const double n = (double)step->count;
    threshold = (n * threshold - 1) / (n - 1);
  }
  // Where all are equally likely, rounding must not decide which of them stay.
  threshold *= 1 - 1e-6;
  for (size_t i = 0; i < step->count; ++i) step->keep[i] = step->p[i] >= threshold;
  return 0;
}

static int32_t clone(const void* state, void** copy, char* error, size_t error_bytes) {
  struct p_less* p_less = malloc(sizeof *p_less);
  if (!p_less) {
    snprintf(error, error_bytes, "no memory is left for %zu bytes", sizeof *p_less);
    return 1;
  }
  *p_less = *(const struct p_less*)state;
  *copy = p_less;
  return 0;
}

static void destroy(void* state) { free(state); }

static void describe(const void* state, char* text, size_t bytes) {
  const struct p_less* p_less = state;
  snprintf(text, bytes, "normalized %s", p_less->normalized ? "true" : "false");
}

// It has no state that follows the text: accept and reset stay NULL.
static const linnet_sampler p_less_sampler = {
    .size = sizeof(linnet_sampler),
    .name = "p_less",
    .create = create,
    .apply = apply,
    .clone = clone,
    .destroy = destroy,
    .describe = describe,
};

static const linnet_sampler* const samplers[] = {&p_less_sampler};

static const linnet_sampler_library library = {
    .version = LINNET_SAMPLER_VERSION,
    .count = 1,
    .samplers = samplers,
};

const linnet_sampler_library* linnet_sampler_v1(void) { return &library; }

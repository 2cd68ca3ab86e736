// A sampler library that does what it may not: the parameter "do" of its samplers, or the variable LINNET_HOSTILE while
// it is loaded, says what. Without either it behaves: "counter" adds how many tokens the text has to the logit of token
// 0, "last" picks the last candidate.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "capi/linnet_sampler.h"

namespace {

struct State {
  std::string misdeed;
  float tokens = 0;
};

[[noreturn]] void explode() { throw std::runtime_error("a sampler in flames"); }

int32_t refuse(const char* why, char* error, size_t bytes) {
  std::strncpy(error, why, bytes - 1);
  return 7;
}

int32_t create(const linnet_sampler_input* in, void** state, char* error, size_t bytes) {
  std::string misdeed;
  for (size_t i = 0; i < in->parameter_count; ++i) {
    const linnet_parameter& p = in->parameters[i];
    if (std::strcmp(p.name, "do") != 0 || p.type != LINNET_PARAMETER_TEXT) return refuse("expected do", error, bytes);
    misdeed.assign(p.text, p.text_bytes);
  }
  if (misdeed == "throw in create") explode();
  if (misdeed == "fail in create") return refuse("no such luck", error, bytes);
  *state = new State{misdeed};
  return 0;
}

int32_t misbehave(const State& s, linnet_sampler_step* step, char* error, size_t bytes) {
  const std::string& what = s.misdeed;
  const size_t last = step->count - 1;
  if (what == "nan") step->logits[last] = std::numeric_limits<float>::quiet_NaN();
  if (what == "infinity") step->logits[last] = std::numeric_limits<float>::infinity();
  if (what == "drop all") std::memset(step->keep, 0, step->count);
  if (what == "bury all")
    for (size_t i = 0; i < step->count; ++i) step->logits[i] = -std::numeric_limits<float>::infinity();
  if (what == "pick") step->picked = step->ids[0];
  if (what == "pick negative") step->picked = -5;
  if (what == "pick beyond") step->picked = step->vocabulary_size;
  if (what == "pick far beyond") step->picked = std::numeric_limits<int32_t>::max();
  if (what == "pick nothing") step->picked = -1;
  if (what == "pick dropped") step->keep[last] = 0;
  if (what == "pick buried") step->logits[last] = -std::numeric_limits<float>::infinity();
  if (what == "overwrite ids") {
    for (size_t i = 0; i < step->count; ++i) const_cast<int32_t*>(step->ids)[i] = 1 << 30;
    step->picked = 1 << 30;
  }
  if (what == "overwrite all") {
    for (size_t i = 0; i < step->count; ++i) {
      const_cast<int32_t*>(step->ids)[i] = 0;
      const_cast<double*>(step->p)[i] = std::numeric_limits<double>::quiet_NaN();
    }
    step->count = 1 << 30;
    step->ids = nullptr;
    step->logits = nullptr;
    step->keep = nullptr;
    step->vocabulary_size = -1;
  }
  if (what == "fail") return refuse("it is \x01 Monday \xff", error, bytes);
  if (what == "fail silently") return -1;
  if (what == "fail at length") {
    std::memset(error, 'x', bytes);
    return 1;
  }
  if (what == "throw") explode();
  if (what == "throw a number") throw 7;
  if (what == "throw bad_alloc") throw std::bad_alloc();
  return 0;
}

int32_t apply_counter(void* state, linnet_sampler_step* step, char* error, size_t bytes) {
  auto& s = *static_cast<State*>(state);
  if (step->ids[0] == 0) step->logits[0] += s.tokens;
  return misbehave(s, step, error, bytes);
}

int32_t apply_last(void* state, linnet_sampler_step* step, char* error, size_t bytes) {
  step->picked = step->ids[step->count - 1];
  return misbehave(*static_cast<State*>(state), step, error, bytes);
}

int32_t accept(void* state, int32_t, int32_t, char* error, size_t bytes) {
  auto& s = *static_cast<State*>(state);
  if (s.misdeed == "throw in accept") explode();
  if (s.misdeed == "fail in accept") return refuse("not acceptable", error, bytes);
  ++s.tokens;
  return 0;
}

int32_t clone(const void* state, void** copy, char* error, size_t bytes) {
  const auto& s = *static_cast<const State*>(state);
  if (s.misdeed == "throw in clone") explode();
  if (s.misdeed == "fail in clone") return refuse("one is enough", error, bytes);
  *copy = new State(s);
  return 0;
}

void reset(void* state) {
  auto& s = *static_cast<State*>(state);
  if (s.misdeed == "throw in reset") explode();
  s.tokens = 0;
}

void destroy(void* state) {
  auto* s = static_cast<State*>(state);
  const bool bad = s->misdeed == "throw in destroy";
  delete s;
  if (bad) explode();
}

void describe(const void* state, char* text, size_t bytes) {
  const auto& s = *static_cast<const State*>(state);
  if (s.misdeed == "throw in describe") explode();
  if (s.misdeed == "describe at length") {
    std::memset(text, 'y', bytes);
  } else {
    std::strncpy(text, std::to_string(int(s.tokens)).c_str(), bytes - 1);
  }
}

linnet_sampler kind(const char* name, bool selects) {
  return {.size = sizeof(linnet_sampler),
          .name = name,
          .flags = selects ? uint32_t{LINNET_SAMPLER_SELECTS} : 0,
          .create = create,
          .apply = selects ? apply_last : apply_counter,
          .accept = accept,
          .clone = clone,
          .reset = reset,
          .destroy = destroy,
          .describe = describe};
}

linnet_sampler counter, last;
const linnet_sampler* kinds[] = {&counter, &last};
linnet_sampler_library library;

}  // namespace

const linnet_sampler_library* linnet_sampler_v1() {
  const char* variable = std::getenv("LINNET_HOSTILE");
  const std::string what = variable ? variable : "";
  counter = kind("counter", false);
  last = kind("last", true);
  kinds[1] = &last;
  library = {.version = LINNET_SAMPLER_VERSION, .count = 2, .samplers = kinds};
  if (what == "null table") return nullptr;
  if (what == "throw") explode();
  if (what == "version 0") library.version = 0;
  if (what == "version 2") library.version = 2;
  if (what == "no samplers") library.count = 0;
  if (what == "many samplers") library.count = 257;
  if (what == "null list") library.samplers = nullptr;
  if (what == "null sampler") kinds[1] = nullptr;
  if (what == "short") last.size = sizeof(linnet_sampler) - 1;
  if (what == "no name") last.name = nullptr;
  if (what == "bad name") last.name = "a b";
  if (what == "empty name") last.name = "";
  static const std::string endless(100000, 'n');
  if (what == "long name") last.name = endless.c_str();
  if (what == "name of a step") last.name = "top_k";
  if (what == "same name") last.name = "counter";
  if (what == "unknown flag") last.flags = 2;
  if (what == "no create") last.create = nullptr;
  if (what == "no apply") last.apply = nullptr;
  if (what == "no clone") last.clone = nullptr;
  if (what == "no destroy") last.destroy = nullptr;
  if (what == "no reset") last.reset = nullptr;
  if (what == "no accept") last.accept = nullptr;
  if (what == "no describe") last.describe = nullptr;
  if (what == "no state") last.accept = nullptr, last.reset = nullptr;
  return &library;
}

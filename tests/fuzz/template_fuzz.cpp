// Any text as a chat template: it is refused or renders within its limits, twice the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "gguf/base/utf8.h"
#include "tests/runtime/template_variables.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const linnet::Json variables = *linnet::parse_json(linnet::kVariables);
  const auto made = linnet::ChatTemplate::compile({reinterpret_cast<const char*>(data), size});
  if (!made) return 0;
  linnet::ChatTemplate::Options options = linnet::test_options();
  options.limits.steps = 20'000;
  options.limits.work = 16 << 20;
  options.limits.memory = 16 << 20;
  options.limits.output = 1 << 20;
  const auto first = made->render(variables, options), second = made->render(variables, options);
  if (bool(first) != bool(second) || (first && *first != *second)) std::abort();
  if (first && !linnet::utf8_valid(*first)) std::abort();
  return 0;
}

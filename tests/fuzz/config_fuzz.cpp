// Any text as a configuration: leniently it is read, and what is left of it makes a request.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "capi/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ConfigLayers layers;
  std::vector<ConfigWarning> warnings;
  for (const ConfigLayer layer : {ConfigLayer::backend, ConfigLayer::request}) {
    const bool may_be_strict = text.find_first_of("sS") != text.npos;
    if (!layers.read(layer, text, {}, warnings) && !may_be_strict) std::abort();
    if (!make_request(layers.options(), {1})) std::abort();
  }
  if (warnings.size() > 2 * (kMostConfigWarnings + 20)) std::abort();
  return 0;
}

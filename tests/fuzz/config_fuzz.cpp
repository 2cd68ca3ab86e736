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
    const bool strict = layers.options().strict;
    if (!layers.read(layer, text, {}, warnings) && !strict && text.find('s') == text.npos) std::abort();
    if (!make_request(layers.options(), {1})) std::abort();
  }
  if (warnings.size() > 2 * (kMostConfigWarnings + 20)) std::abort();
  return 0;
}

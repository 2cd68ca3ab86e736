#include "gguf/base/error.h"

#include <array>

namespace linnet {

std::string_view code_name(Code code) {
  static constexpr std::array names = {
#define X(name) std::string_view(#name),
      LINNET_ERROR_CODES(X)
#undef X
  };
  const auto i = static_cast<size_t>(code);
  return i < names.size() ? names[i] : "internal";
}

}  // namespace linnet

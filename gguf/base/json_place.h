// Where a text stops being JSON, for error messages.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace linnet {

// The offset of the first byte that cannot continue a JSON text (the size of the text when it ends too early); nullopt
// when only values are wrong (a number too large for a double, a lone surrogate) or nothing is. Encoding and depth are not
// looked at.
std::optional<size_t> json_error_offset(std::string_view text);

}  // namespace linnet

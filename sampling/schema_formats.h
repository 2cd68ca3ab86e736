// The values of "format" whose texts are defined exactly here, as patterns.
#pragma once

#include <string_view>

namespace linnet {

// The pattern of a format, anchored; empty for one that is not known.
std::string_view format_pattern(std::string_view name);
// "date, time, ...", for messages.
std::string_view format_names();

}  // namespace linnet

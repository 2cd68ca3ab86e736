// Pictures of a load test. Both are well-formed XML and need nothing but themselves.
#pragma once

#include <span>
#include <string>

#include "tools/load_generator.h"

namespace linnet {

// SVG: tokens a second, and the times people wait, over the number of sessions.
std::string load_picture(std::span<const LoadResult> results);
// HTML: the picture and a table of the figures.
std::string load_page(std::span<const LoadResult> results, const std::string& title);

}  // namespace linnet

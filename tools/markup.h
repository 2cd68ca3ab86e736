// Text inside HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace linnet {

// With the characters that mean something in markup as entities.
std::string markup_escaped(std::string_view text);
// The bytes of a token, to be read by a person: line breaks and control characters as escapes, invalid UTF-8 as U+FFFD.
std::string markup_token(std::string_view bytes);

}  // namespace linnet

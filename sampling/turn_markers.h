// What a model writes when it begins to speak for somebody else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// The names, colon included, with which the lines of a transcript begin:
//
//     User: Hello.
//     Assistant: Hi, who are you?
//     User: Alex.
//     Assistant:
//
// A prompt is a transcript if its last line that is not blank is only such a name and it has at least two different ones.
// A name begins a line, has at most 32 bytes and three words, and begins with a letter, digit, # or *. At most 16 names
// are told, in the order of their last use, the latest first. Another prompt gives none.
std::vector<std::string> turn_markers(std::string_view prompt);

}  // namespace linnet

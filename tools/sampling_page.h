// Pictures of what a sampler chain did to a recorded run. Both are well-formed XML and need nothing but themselves.
#pragma once

#include <string>

#include "tools/sampling_trace.h"

namespace linnet {

// SVG: candidates (on a logarithmic scale) and entropy after every step, at every position.
std::string sampling_picture(const RecordingTrace& trace);
// HTML: the picture, the steps' summary, and for every position a bar of its likeliest tokens in the colours of the
// steps that removed them.
std::string sampling_page(const RecordingTrace& trace, const TokenText& text);

}  // namespace linnet

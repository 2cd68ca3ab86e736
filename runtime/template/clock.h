// The time that templates ask for with strftime_now.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gguf/base/error.h"

namespace linnet::jinja {

struct CivilTime {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int microsecond = 0;
};

// "2024-07-26", "2024-07-26 13:45" or "2024-07-26T13:45:10".
Result<CivilTime> parse_time(std::string_view text);
CivilTime local_time();
// datetime.strftime in the C locale; the directives of C's strftime, and %f.
Result<std::string> format_time(const CivilTime& time, std::string_view format);

}  // namespace linnet::jinja

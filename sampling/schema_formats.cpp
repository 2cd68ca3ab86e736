#include "sampling/schema_formats.h"

#include <string>
#include <utility>

namespace linnet {
namespace {

// RFC 3339: the days that a month has; 29 February in leap years.
#define LINNET_DATE                                                                                            \
  "(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|" \
  "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
// RFC 3339 without leap seconds; at most 9 digits of a second.
#define LINNET_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
// RFC 3339, appendix A; numbers of at most 9 digits.
#define LINNET_N "\\d{1,9}"
#define LINNET_DURATION_TIME \
  "T(" LINNET_N "H(" LINNET_N "M(" LINNET_N "S)?)?|" LINNET_N "M(" LINNET_N "S)?|" LINNET_N "S)"
#define LINNET_BYTE "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define LINNET_H "[0-9a-fA-F]{1,4}"
#define LINNET_ATOM "[A-Za-z0-9_%+-]{1,20}"

constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", "^" LINNET_DATE "$"},
    {"time", "^" LINNET_TIME "$"},
    {"date-time", "^" LINNET_DATE "T" LINNET_TIME "$"},
    {"duration", "^P((" LINNET_N "Y(" LINNET_N "M(" LINNET_N "D)?)?|" LINNET_N "M(" LINNET_N "D)?|" LINNET_N
                 "D)(" LINNET_DURATION_TIME ")?|" LINNET_DURATION_TIME "|" LINNET_N "W)$"},
    {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^" LINNET_BYTE "(\\." LINNET_BYTE "){3}$"},
    // RFC 4291 without embedded IPv4: eight groups, or fewer around one "::".
    {"ipv6",
     "^((" LINNET_H ":){7}" LINNET_H "|(" LINNET_H ":){1,7}:|(" LINNET_H ":){1,6}:" LINNET_H "|(" LINNET_H
     ":){1,5}(:" LINNET_H "){1,2}|(" LINNET_H ":){1,4}(:" LINNET_H "){1,3}|(" LINNET_H ":){1,3}(:" LINNET_H
     "){1,4}|(" LINNET_H ":){1,2}(:" LINNET_H "){1,5}|" LINNET_H ":(:" LINNET_H "){1,6}|:((:" LINNET_H "){1,7}|:))$"},
    // Addresses as people write them: every text is one by RFC 5321, not every one of RFC 5321 is here.
    {"email",
     "^" LINNET_ATOM "(\\." LINNET_ATOM "){0,2}@([A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20})?\\.){1,3}[A-Za-z]{2,10}$"},
};

}  // namespace

std::string_view format_pattern(std::string_view name) {
  for (const auto& [format, pattern] : kFormats) {
    if (format == name) return pattern;
  }
  return {};
}

std::string_view format_names() {
  static const std::string names = [] {
    std::string list;
    for (const auto& [format, pattern] : kFormats)
      list += list.empty() ? std::string(format) : ", " + std::string(format);
    return list;
  }();
  return names;
}

}  // namespace linnet

#include "runtime/template/clock.h"

#include <charconv>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include "gguf/base/utf8.h"

namespace linnet::jinja {
namespace {

bool take_number(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) return false;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + digits, value);
  if (problem != std::errc() || end != text.data() + digits || text[0] == '-') return false;
  text.remove_prefix(digits);
  return true;
}

bool take_mark(std::string_view& text, char mark) {
  if (!text.starts_with(mark)) return false;
  text.remove_prefix(1);
  return true;
}

std::chrono::year_month_day date_of(const CivilTime& t) {
  return std::chrono::year(t.year) / std::chrono::month(unsigned(t.month)) / std::chrono::day(unsigned(t.day));
}

std::tm broken_down(const CivilTime& t) {
  const std::chrono::sys_days day = date_of(t);
  std::tm tm{};
  tm.tm_year = t.year - 1900;
  tm.tm_mon = t.month - 1;
  tm.tm_mday = t.day;
  tm.tm_hour = t.hour;
  tm.tm_min = t.minute;
  tm.tm_sec = t.second;
  tm.tm_wday = int(std::chrono::weekday(day).c_encoding());
  tm.tm_yday = int((day - std::chrono::sys_days(std::chrono::year(t.year) / 1 / 1)).count());
  tm.tm_isdst = -1;
  return tm;
}

}  // namespace

Result<CivilTime> parse_time(std::string_view text) {
  CivilTime t;
  std::string_view rest = text;
  bool right = take_number(rest, 4, t.year) && take_mark(rest, '-') && take_number(rest, 2, t.month) &&
               take_mark(rest, '-') && take_number(rest, 2, t.day);
  if (right && !rest.empty()) {
    right = (take_mark(rest, ' ') || take_mark(rest, 'T')) && take_number(rest, 2, t.hour) && take_mark(rest, ':') &&
            take_number(rest, 2, t.minute);
    if (right && take_mark(rest, ':')) right = take_number(rest, 2, t.second);
  }
  right = right && rest.empty() && date_of(t).ok() && t.hour < 24 && t.minute < 60 && t.second < 60;
  if (!right)
    return fail(Code::invalid_argument, "{} is no time; expected 2024-07-26 or 2024-07-26T13:45:10", quoted(text));
  return t;
}

CivilTime local_time() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm tm{};
  localtime_r(&seconds, &tm);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  return {tm.tm_year + 1900,       tm.tm_mon + 1,          tm.tm_mday, tm.tm_hour, tm.tm_min,
          std::min(tm.tm_sec, 59), int(micros % 1'000'000)};
}

Result<std::string> format_time(const CivilTime& time, std::string_view format) {
  const std::tm tm = broken_down(time);
  std::string out;
  while (!format.empty()) {
    const size_t mark = std::min(format.find('%'), format.size());
    out += format.substr(0, mark);
    format.remove_prefix(mark);
    if (format.empty()) break;
    // %d, and the form without padding: %-d
    const bool plain = format.size() > 1 && format[1] == '-';
    const std::string directive(format.substr(0, plain ? 3 : 2));
    constexpr std::string_view kKnown = "aAbBcdDeFfGghHIjklmMnpPRrSTtuUVwWxXyYzZ%C";
    if (directive.size() < (plain ? 3u : 2u) || kKnown.find(directive.back()) == kKnown.npos)
      return fail(Code::invalid_argument, "strftime_now: there is no directive {}", quoted(directive));
    format.remove_prefix(directive.size());
    if (directive == "%f") {
      out += fmt::format("{:06}", time.microsecond);
    } else if (directive != "%z" && directive != "%Z") {  // the time has no zone, as in Python
      char text[128];
      out.append(text, std::strftime(text, sizeof text, directive.c_str(), &tm));
    }
  }
  return out;
}

}  // namespace linnet::jinja

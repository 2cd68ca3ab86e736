// Filters that make a text or a number out of one value.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/template/characters.h"
#include "runtime/template/format.h"
#include "runtime/template/functions.h"
#include "runtime/template/operators.h"
#include "runtime/template/print.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

// Filters of one text without arguments.
template <auto change>
Result<Value> changed_text(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  return call.heap().text(std::string(change(text.text())), text.markup());
}

// Words begin after white space and opening brackets, and also after a hyphen; each begins with a capital.
std::string title_words(std::string_view text) {
  const auto divides = [](uint32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool gap = divides(utf8_decode(text, at).code_point);
    size_t end = at;
    while (end < text.size() && divides(utf8_decode(text, end).code_point) == gap) end += utf8_decode(text, end).bytes;
    const size_t first = utf8_decode(text, at).bytes;
    out += to_upper(text.substr(at, first));
    out += to_lower(text.substr(at + first, end - at - first));
    at = end;
  }
  return out;
}

Result<Value> trim(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  if (!call.given_not_none(0)) return call.heap().text(std::string(strip(text.text(), kBoth)), text.markup());
  LINNET_TRY(const std::string_view chars, call.text(0));
  LINNET_CHECK(call.heap().spend(text.text().size() * std::min<size_t>(chars.size(), 1024)));
  return call.heap().text(std::string(strip(text.text(), kBoth, chars)), text.markup());
}

Result<Value> replace_filter(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  LINNET_TRY(const std::string part, to_text(call.heap(), call[0]));
  LINNET_TRY(const std::string by, to_text(call.heap(), call[1]));
  int64_t most = -1;
  if (call.given_not_none(2)) { LINNET_TRY(most, call.integer(2)); }
  return replaced(call, text.text(), part, by, most);
}

Result<Value> string_filter(Call& call) { return call.subject_text(); }

Result<Value> escape(Call& call) {
  if (call.subject.markup()) return call.subject;
  LINNET_TRY(const Value text, call.subject_text());
  return call.heap().text(escape_html(text.text()), true);
}

Result<Value> force_escape(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  return call.heap().text(escape_html(text.text()), true);
}

Result<Value> safe(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  return call.heap().text(std::string(text.text()), true);
}

Result<Value> indent(Call& call) {
  if (!call.subject.is_text()) return call.problem(wrong_type("text", call.subject).message);
  std::string margin(4, ' ');
  if (call[0].is_text()) {
    margin = std::string(call[0].text());
  } else if (call.given(0)) {
    LINNET_TRY(const int64_t width, call.integer(0));
    LINNET_CHECK(call.heap().room(uint64_t(std::max<int64_t>(width, 0))));
    margin.assign(size_t(std::max<int64_t>(width, 0)), ' ');
  }
  const std::string text = std::string(call.subject.text()) + "\n";
  const auto lines = split_lines(text, false);
  // lines, margins and newlines: both factors are below the limit of memory, far from 2^32
  LINNET_CHECK(call.heap().room(text.size() + lines.size() * (margin.size() + 1)));
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    const bool indented = i == 0 ? call.flag(1) : call.flag(2) || !lines[i].empty();
    if (indented) out += margin;
    out += lines[i];
  }
  return call.like_subject(std::move(out));
}

Result<Value> format_filter(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  const auto& [positional, named] = call.rest;
  if (!positional.empty() && !named.empty())
    return call.problem("takes arguments either all by position or all by name");
  if (named.empty()) return percent_format(call.heap(), text, Value(call.heap().list(ListKind::tuple, positional)));
  Dict* values = call.heap().dict();
  for (const auto& [name, value] : named) values->set_text(call.heap().text(std::string(name)), value);
  return percent_format(call.heap(), text, Value(values));
}

Result<Value> center(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  LINNET_TRY(const int64_t width, call.integer(0, 80));
  return padded(call, text.text(), width, " ", Align::center);
}

Result<Value> truncate(Call& call) {
  const Value& text = call.subject;
  if (text.is_undefined()) return text;
  if (!text.is_text()) return call.problem(wrong_type("text", text).message);
  LINNET_TRY(const int64_t length, call.integer(0, 255));
  std::string_view end = "...";
  if (call.given(2)) { LINNET_TRY(end, call.text(2)); }
  int64_t leeway = 5;
  if (call.given_not_none(3)) { LINNET_TRY(leeway, call.integer(3)); }
  const int64_t mark = int64_t(characters(end));
  if (length < mark || leeway < 0 || length > INT64_MAX - leeway)
    return call.problem("the length is too small for the end that is put there");
  if (int64_t(characters(text.text())) <= length + leeway) return text;
  std::string_view kept = text.text().substr(0, byte_offset(text.text(), size_t(length - mark)));
  if (!call.flag(1)) kept = kept.substr(0, kept.rfind(' '));
  return call.like_subject(std::string(kept) + std::string(end));
}

Result<Value> word_count(Call& call) {
  LINNET_TRY(const Value text, call.subject_text());
  int64_t words = 0;
  bool in_word = false;
  for_each_character(text.text(), [&](uint32_t c, std::string_view) {
    const bool letter = c == '_' || is_alphanumeric(c);
    words += letter && !in_word;
    in_word = letter;
  });
  return Value::integer(words);
}

// Percent-encoding; in a query '/' is encoded too, and a space is '+'.
std::string url_quote(std::string_view text, bool query) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '.' || c == '-' || c == '~' || (c == '/' && !query);
    if (plain) {
      out += c;
    } else {
      out += c == ' ' && query ? "+" : fmt::format("%{:02X}", uint8_t(c));
    }
  }
  return out;
}

Result<Value> url_encode(Call& call) {
  Heap& heap = call.heap();
  if (!call.subject.is_dict() && !call.subject.is_list()) {
    LINNET_TRY(const Value text, call.subject_text());
    return heap.text(url_quote(text.text(), false));
  }
  std::string out;
  const auto add = [&](const Value& key, const Value& value) -> Status {
    LINNET_TRY(const std::string name, to_text(heap, key));
    LINNET_TRY(const std::string text, to_text(heap, value));
    out += (out.empty() ? "" : "&") + url_quote(name, true) + "=" + url_quote(text, true);
    return heap.room(out.size());
  };
  if (call.subject.is_dict()) {
    for (const Dict::Entry& entry : call.subject.dict()->entries()) LINNET_CHECK(add(entry.key, entry.value));
    return heap.text(std::move(out));
  }
  LINNET_TRY(const std::vector<Value> pairs, elements(heap, call.subject));
  for (const Value& pair : pairs) {
    LINNET_TRY(const std::vector<Value> parts, elements(heap, pair));
    if (parts.size() != 2) return call.problem("expected pairs of a name and a value");
    LINNET_CHECK(add(parts[0], parts[1]));
  }
  return heap.text(std::move(out));
}

Result<Value> to_json_filter(Call& call) {
  JsonStyle style;
  style.ascii = call.flag(0);
  style.sort_keys = call.flag(3);
  if (call[1].is_text()) {
    style.indent = std::string(call[1].text());
  } else if (call.given_not_none(1)) {
    LINNET_TRY(const int64_t width, call.integer(1));
    if (width > 256) return call.problem("an indent is at most 256");
    style.indent = std::string(size_t(std::max<int64_t>(width, 0)), ' ');
  }
  if (style.indent) style.comma = ",";
  if (call.given_not_none(2)) {
    LINNET_TRY(const std::vector<Value> parts, elements(call.heap(), call[2]));
    if (parts.size() != 2 || !parts[0].is_text() || !parts[1].is_text())
      return call.problem("separators are two texts, as in (',', ':')");
    style.comma = std::string(parts[0].text());
    style.colon = std::string(parts[1].text());
  }
  LINNET_TRY(std::string text, to_json(call.heap(), call.subject, style));
  return call.heap().text(std::move(text));
}

// Toward zero.
Result<Value> whole_part(Call& call, double number) {
  if (std::abs(number) < 0x1p63) return Value::integer(int64_t(number));
  return call.problem(fmt::format("{} does not fit a whole number of 64 bits", number));
}

Result<Value> int_filter(Call& call) {
  const Value& value = call.subject;
  const Value otherwise = call.given(0) ? call[0] : Value::integer(0);
  if (value.is_undefined()) return call.problem(missing_sentence(value));
  if (value.is_integer()) return Value::integer(value.integer());
  if (value.is_number()) return std::isnan(value.number()) ? otherwise : whole_part(call, value.number());
  if (!value.is_text()) return otherwise;
  LINNET_TRY(const int64_t base, call.integer(1, 10));
  if (base != 0 && (base < 2 || base > 36)) return call.problem("a base is 0 or 2 to 36");
  if (const auto whole = parse_integer(value.text(), int(base))) return Value::integer(*whole);
  const auto number = parse_number(value.text());
  if (!number || !std::isfinite(*number)) return otherwise;
  return whole_part(call, *number);
}

Result<Value> float_filter(Call& call) {
  const Value& value = call.subject;
  if (value.is_undefined()) return call.problem(missing_sentence(value));
  if (value.is_number()) return Value::number(value.number());
  if (value.is_text()) {
    if (const auto number = parse_number(value.text())) return Value::number(*number);
  }
  return call.given(0) ? call[0] : Value::number(0);
}

Result<Value> abs_filter(Call& call) {
  if (!call.subject.is_number()) return call.problem(wrong_type("a number", call.subject).message);
  if (!call.subject.is_integer()) return Value::number(std::abs(call.subject.number()));
  return call.subject.integer() < 0 ? negate(call.subject) : Value::integer(call.subject.integer());
}

// To a multiple of 10^-digits, halves to even.
Result<Value> round_whole(Call& call, int64_t value, int64_t digits) {
  if (digits >= 0) return Value::integer(value);
  if (digits < -18) return Value::integer(0);
  int64_t unit = 1;
  for (int64_t i = digits; i < 0; ++i) unit *= 10;
  const int64_t rest = ((value % unit) + unit) % unit;
  int64_t down = 0;
  if (__builtin_sub_overflow(value, rest, &down)) return call.problem("the result does not fit 64 bits");
  const bool up = rest > unit - rest || (rest == unit - rest && (down / unit) % 2 != 0);
  int64_t result = 0;
  if (__builtin_add_overflow(down, up ? unit : 0, &result)) return call.problem("the result does not fit 64 bits");
  return Value::integer(result);
}

double round_float(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 330) return value;
  if (digits < -310) return std::copysign(0.0, value);
  if (digits < 0) {
    const double unit = std::pow(10.0, double(-digits));
    return std::nearbyint(value / unit) * unit;
  }
  // Through decimal digits: rounded once, exactly, halves to even.
  return *parse_number(fmt::format("{:.{}f}", value, digits));
}

Result<Value> round_filter(Call& call) {
  if (!call.subject.is_number()) return call.problem(wrong_type("a number", call.subject).message);
  LINNET_TRY(const int64_t digits, call.integer(0, 0));
  const std::string_view method = call[1].is_text() ? call[1].text() : call.given(1) ? "" : "common";
  if (method == "common") {
    if (call.subject.is_integer()) return round_whole(call, call.subject.integer(), digits);
    return Value::number(round_float(call.subject.number(), digits));
  }
  if (method != "ceil" && method != "floor") return call.problem("the method is common, ceil or floor");
  const double scale = std::pow(10.0, double(digits)), scaled = call.subject.number() * scale;
  if (!std::isfinite(scaled) || scale == 0) return call.problem("the number is too large to be rounded");
  const double whole = method == "ceil" ? std::ceil(scaled) : std::floor(scaled);
  return Value::number((whole + 0.0) / scale);  // 0, not -0
}

const Function kRows[] = {
    {"abs", "", abs_filter},
    {"capitalize", "", changed_text<capitalize>},
    {"center", "width?", center},
    {"e", "", escape},
    {"escape", "", escape},
    {"float", "default?", float_filter},
    {"forceescape", "", force_escape},
    {"format", "* **", format_filter},
    {"indent", "width? first? blank?", indent},
    {"int", "default? base?", int_filter},
    {"lower", "", changed_text<to_lower>},
    {"replace", "old new count?", replace_filter},
    {"round", "precision? method?", round_filter},
    {"safe", "", safe},
    {"string", "", string_filter},
    {"title", "", changed_text<title_words>},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", to_json_filter},
    {"trim", "chars?", trim},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"upper", "", changed_text<to_upper>},
    {"urlencode", "", url_encode},
    {"wordcount", "", word_count},
};

}  // namespace

std::span<const Function> text_filters() { return kRows; }

Result<Value> replaced(Call& call, std::string_view text, std::string_view part, std::string_view by, int64_t most) {
  const uint64_t times = count_occurrences(text, part, most);
  uint64_t added = 0;
  if (__builtin_mul_overflow(times, by.size(), &added)) added = UINT64_MAX / 2;
  LINNET_CHECK(call.heap().room(text.size() + added));
  LINNET_CHECK(call.heap().spend(2 * text.size() + added));
  return call.heap().text(replace(text, part, by, most));
}

Result<Value> padded(Call& call, std::string_view text, int64_t width, std::string_view fill, Align align) {
  const int64_t length = int64_t(characters(text)), missing = std::max<int64_t>(width - length, 0);
  LINNET_CHECK(call.heap().room(uint64_t(missing) > (1u << 30) ? UINT64_MAX : uint64_t(missing) * fill.size()));
  // The odd character goes where Python puts it.
  const int64_t left = align == Align::left     ? 0
                       : align == Align::center ? missing / 2 + (missing & width & 1)
                                                : missing;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return call.like_subject(std::move(out));
}

}  // namespace linnet::jinja

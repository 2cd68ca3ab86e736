#include "runtime/template/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "runtime/template/operators.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

constexpr int64_t kMaxWidth = 1 << 20, kMaxPrecision = 400;

// How a value is written: %[(key)][flags][width][.precision]type, or {:[[fill]align][sign][#][0][width][,][.precision][type]}.
struct Spec {
  std::string fill = " ";
  char align = 0;          // < > ^ =, 0: what the type likes
  char sign = 0;           // + or a space: what stands before a number that is not negative
  bool alternate = false;  // 0x before hexadecimal digits
  int64_t width = 0;
  int64_t precision = -1;
  char grouping = 0;
  char type = 0;
  bool zero = false;  // a 0 before the width says how to fill up and align
};

// Digits at the start of the text, taken away; a limit keeps it small.
Result<int64_t> take_count(std::string_view& text, int64_t most) {
  int64_t n = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1)) {
    n = n * 10 + (text[0] - '0');
    if (n > most) return fail(Code::invalid_argument, "a width or precision in a format is at most {}", most);
  }
  return n;
}

std::string pad(const Spec& spec, char align, const std::string& prefix, const std::string& body) {
  const size_t length = characters(prefix) + characters(body);
  const size_t missing = size_t(spec.width) > length ? size_t(spec.width) - length : 0;
  const auto fill = [&](size_t n) {
    std::string out;
    for (; n > 0; --n) out += spec.fill;
    return out;
  };
  if (spec.align != 0) align = spec.align;
  if (align == '=') return prefix + fill(missing) + body;
  if (align == '<') return prefix + body + fill(missing);
  if (align == '^') return fill(missing / 2) + prefix + body + fill(missing - missing / 2);
  return fill(missing) + prefix + body;
}

std::string group_digits(const std::string& digits, char mark, size_t size = 3) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % size == 0) out += mark;
    out += digits[i];
  }
  return out;
}

std::string sign_of(const Spec& spec, bool negative) {
  return negative ? "-" : spec.sign == 0 || spec.sign == '-' ? "" : std::string(1, spec.sign);
}

void upper_ascii(std::string& text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? char(c - 32) : c;
}

std::string format_whole(const Spec& spec, int64_t value) {
  const uint64_t magnitude = value < 0 ? 0 - uint64_t(value) : uint64_t(value);
  std::string digits, prefix = sign_of(spec, value < 0);
  switch (spec.type) {
    case 'x':
    case 'X':
      digits = fmt::format("{:x}", magnitude);
      if (spec.alternate) prefix += "0x";
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      if (spec.alternate) prefix += "0o";
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      if (spec.alternate) prefix += "0b";
      break;
    default:
      digits = fmt::format("{}", magnitude);
  }
  if (spec.type == 'X') {
    upper_ascii(digits);
    upper_ascii(prefix);
  }
  if (spec.precision > int64_t(digits.size())) digits.insert(0, size_t(spec.precision) - digits.size(), '0');
  const bool decimal = spec.type == 0 || spec.type == 'd';
  if (spec.grouping != 0) digits = group_digits(digits, spec.grouping, decimal ? 3 : 4);
  return pad(spec, '>', prefix, digits);
}

std::string float_digits(double magnitude, char type, int64_t precision) {
  if (std::isnan(magnitude)) return "nan";
  if (std::isinf(magnitude)) return "inf";
  const auto style = type == 'e'   ? std::chars_format::scientific
                     : type == 'f' ? std::chars_format::fixed
                                   : std::chars_format::general;
  if (style == std::chars_format::general && precision == 0) precision = 1;
  char digits[kMaxPrecision + 400];
  const auto end = std::to_chars(digits, digits + sizeof digits, magnitude, style, int(precision)).ptr;
  return std::string(digits, end);
}

// As %g, but a digit is left for what stands behind the point.
std::string short_digits(double magnitude, int64_t precision) {
  const std::string general = float_digits(magnitude, 'g', precision);
  const size_t digits = general.find_first_not_of("0123456789") == general.npos ? general.size() : 0;
  if (int64_t(digits) < std::max<int64_t>(precision, 1)) return general;
  std::string scientific = float_digits(magnitude, 'e', std::max<int64_t>(precision, 1) - 1);
  const size_t e = scientific.find('e');
  size_t end = scientific.find_last_not_of('0', e - 1) + 1;
  if (scientific.find('.') == scientific.npos) end = e;
  if (scientific[end - 1] == '.') --end;
  return scientific.erase(end, e - end);
}

std::string format_float(const Spec& spec, double value) {
  const char type = char(spec.type | 0x20);
  const bool percent = spec.type == '%';
  const double magnitude = std::abs(percent ? value * 100 : value);
  std::string digits;
  if (spec.type == 0) {
    digits = spec.precision < 0 ? number_text(magnitude) : short_digits(magnitude, spec.precision);
    if (digits.find_first_of(".en") == digits.npos) digits += ".0";
  } else {
    digits = float_digits(magnitude, percent ? 'f' : type == 'n' ? 'g' : type, spec.precision < 0 ? 6 : spec.precision);
  }
  if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') upper_ascii(digits);
  if (spec.grouping != 0) {
    const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    digits = group_digits(digits.substr(0, whole), spec.grouping) + digits.substr(whole);
  }
  if (percent) digits += '%';
  return pad(spec, '>', sign_of(spec, std::signbit(value) && !std::isnan(value)), digits);
}

std::string format_text(const Spec& spec, std::string_view text, char align) {
  if (spec.precision >= 0) text = text.substr(0, byte_offset(text, size_t(spec.precision)));
  return pad(spec, align, "", std::string(text));
}

std::string ascii_only(std::string_view text) {
  std::string out;
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    if (c < 0x80) {
      out += bytes;
    } else {
      out += c < 0x100     ? fmt::format("\\x{:02x}", c)
             : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                           : fmt::format("\\U{:08x}", c);
    }
  });
  return out;
}

// s: str(), r: repr(), a: ascii().
Result<std::string> converted(Heap& heap, const Value& value, char how) {
  if (how == 's') return to_text(heap, value);
  LINNET_TRY(const std::string text, repr(heap, value));
  return how == 'a' ? ascii_only(text) : text;
}

Result<std::string> format_character(const Spec& spec, const Value& value) {
  if (value.is_text() && characters(value.text()) == 1) return format_text(spec, value.text(), '>');
  if (!value.is_integer() || value.integer() < 0 || value.integer() > 0x10ffff)
    return wrong_type("a character or its number for the format c", value);
  std::string text;
  utf8_append(text, uint32_t(value.integer()));
  return format_text(spec, text, '>');
}

class PercentFormat {
 public:
  PercentFormat(Heap& heap, const Value& format, const Value& values)
      : heap_(heap), rest_(format.text()), markup_(format.markup()), values_(values) {}

  Result<Value> run() {
    for (size_t at; (at = rest_.find('%')) != rest_.npos;) {
      out_ += rest_.substr(0, at);
      rest_.remove_prefix(at + 1);
      LINNET_CHECK(conversion());
      LINNET_CHECK(heap_.room(out_.size()));
    }
    out_ += rest_;
    const bool used =
        values_.is_dict() || values_.is_undefined() || (values_.is_list() && !is_tuple()) || next_ == count();
    if (!used) return fail(Code::invalid_argument, "the format text takes {} values, {} were given", next_, count());
    return heap_.text(std::move(out_), markup_);
  }

 private:
  bool is_tuple() const { return values_.is_list() && values_.list()->kind == ListKind::tuple; }
  size_t count() const { return is_tuple() ? values_.list()->items.size() : 1; }

  Result<Value> next_value() {
    if (next_ >= count()) return fail(Code::invalid_argument, "the format text takes more than {} values", count());
    ++next_;
    return is_tuple() ? values_.list()->items[next_ - 1] : values_;
  }

  // A number in the text, or * for one of the values.
  Result<int64_t> amount(int64_t most) {
    if (!rest_.starts_with('*')) return take_count(rest_, most);
    rest_.remove_prefix(1);
    LINNET_TRY(const Value value, next_value());
    if (!value.is_integer()) return wrong_type("a whole number for *", value);
    return std::clamp(value.integer(), -most, most);
  }

  Result<Value> named_value() {
    const size_t end = rest_.find(')');
    if (end == rest_.npos) return fail(Code::invalid_argument, "a format text has %( without )");
    const std::string key(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    if (!values_.is_dict()) return wrong_type("a dict for %(name) in a format text", values_);
    const Value* found = values_.dict()->find(key);
    if (found == nullptr) return fail(Code::invalid_argument, "the format text asks for {}, which was not given", key);
    return *found;
  }

  Status flags(Spec& spec) {
    for (; !rest_.empty() && std::string_view("-+ #0").find(rest_[0]) != std::string_view::npos;
         rest_.remove_prefix(1)) {
      if (rest_[0] == '-') spec.align = '<';
      if (rest_[0] == '+' || (rest_[0] == ' ' && spec.sign != '+')) spec.sign = rest_[0];
      if (rest_[0] == '#') spec.alternate = true;
      if (rest_[0] == '0') zero_ = true;
    }
    LINNET_TRY(spec.width, amount(kMaxWidth));
    if (spec.width < 0) {
      spec.width = -spec.width;
      spec.align = '<';
    }
    if (rest_.starts_with('.')) {
      rest_.remove_prefix(1);
      LINNET_TRY(spec.precision, amount(kMaxPrecision));
      spec.precision = std::max<int64_t>(spec.precision, 0);
    }
    return {};
  }

  Status conversion() {
    std::optional<Value> value;
    zero_ = false;
    if (rest_.starts_with('(')) { LINNET_TRY(value, named_value()); }
    Spec spec;
    LINNET_CHECK(flags(spec));
    while (!rest_.empty() && std::string_view("hlL").find(rest_[0]) != std::string_view::npos) rest_.remove_prefix(1);
    if (rest_.empty()) return fail(Code::invalid_argument, "a format text ends inside a %");
    spec.type = rest_[0];
    rest_.remove_prefix(1);
    if (spec.type == '%') {
      out_ += '%';
      return {};
    }
    if (!value) { LINNET_TRY(value, next_value()); }
    LINNET_TRY(const std::string text, formatted(spec, *value));
    out_ += text;
    return {};
  }

  Result<std::string> formatted(Spec& spec, const Value& value) {
    const bool number = std::string_view("diuxXoeEfFgG").find(spec.type) != std::string_view::npos;
    if (number && zero_ && spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a': {
        LINNET_TRY(std::string text, converted(heap_, value, spec.type));
        if (markup_ && !(spec.type == 's' && value.markup())) text = escape_html(text);
        return format_text(spec, text, '>');
      }
      case 'c':
        spec.precision = -1;
        return format_character(spec, value);
      case 'd':
      case 'i':
      case 'u':
        if (value.is_integer()) return format_whole(spec, value.integer());
        if (value.is_number() && std::abs(value.number()) < 0x1p63) return format_whole(spec, int64_t(value.number()));
        return wrong_type("a number for %d", value);
      case 'x':
      case 'X':
      case 'o':
        if (value.is_integer()) return format_whole(spec, value.integer());
        return wrong_type("a whole number for %x and %o", value);
      default:
        break;
    }
    if (!number) return fail(Code::invalid_argument, "there is no format %{}", quote(std::string(1, spec.type)));
    if (!value.is_number()) return wrong_type("a number for %f, %e and %g", value);
    if (spec.alternate) return fail(Code::unsupported, "the flag # is not supported with %f, %e and %g");
    return format_float(spec, value.number());
  }

  Heap& heap_;
  std::string_view rest_;
  bool markup_;
  Value values_;
  size_t next_ = 0;
  bool zero_ = false;
  std::string out_;
};

Result<Spec> parse_spec(std::string_view text) {
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const size_t first = text.empty() ? 0 : utf8_decode(text, 0).bytes;
  const bool filled = text.size() > first && is_align(text[first]);
  if (filled) {
    spec.fill = std::string(text.substr(0, first));
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
  const auto take = [&](std::string_view any) {
    if (text.empty() || any.find(text[0]) == any.npos) return char(0);
    const char c = text[0];
    text.remove_prefix(1);
    return c;
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != 0;
  if (text.starts_with('0') && !filled) {
    spec.fill = "0";
    spec.zero = spec.align == 0;
    if (spec.zero) spec.align = '=';
  }
  LINNET_TRY(spec.width, take_count(text, kMaxWidth));
  spec.grouping = take(",_");
  if (take(".") != 0) {
    if (text.empty() || text[0] < '0' || text[0] > '9')
      return fail(Code::invalid_argument, "a precision is missing in a format");
    LINNET_TRY(spec.precision, take_count(text, kMaxPrecision));
  }
  spec.type = take("bcdeEfFgGnosxX%");
  if (!text.empty()) return fail(Code::invalid_argument, "{} is no format", quote(text));
  return spec;
}

// What does not go together for a whole number.
bool fits_whole(const Spec& spec) {
  if (spec.precision >= 0) return false;
  if (spec.type == 'c') return spec.grouping == 0 && spec.sign == 0 && !spec.alternate;
  if (spec.type == 0 || spec.type == 'd') return true;
  return spec.grouping == 0 || (spec.grouping == '_' && spec.type != 'n');
}

Result<std::string> format_value(Heap& heap, const Value& value, std::string_view format) {
  if (format.empty()) return to_text(heap, value);
  LINNET_TRY(Spec spec, parse_spec(format));
  const bool float_type = spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  const bool for_numbers = spec.sign != 0 || spec.alternate || spec.grouping != 0 || (spec.align == '=' && !spec.zero);
  if (value.is_text() && (spec.type == 0 || spec.type == 's') && !for_numbers) {
    if (spec.align == '=') spec.align = '<';
    return format_text(spec, value.text(), '<');
  }
  if (value.is_number() && spec.type != 's') {
    if (spec.grouping != 0 && spec.fill == "0" && spec.align == '=')
      return fail(Code::unsupported, "filling up with 0 and grouping digits at a time is not supported");
    if (value.is_integer() && !float_type && fits_whole(spec))
      return spec.type == 'c' ? format_character(spec, value) : format_whole(spec, value.integer());
    const bool as_float = float_type || ((spec.type == 0 || spec.type == 'n') && !value.is_integer());
    if (as_float && spec.alternate) return fail(Code::unsupported, "# is not supported for numbers with a fraction");
    if (as_float && !(spec.type == 'n' && spec.grouping != 0)) return format_float(spec, value.number());
  }
  return fail(Code::invalid_argument, "the format {} does not go with a {}", quote(format), type_name(value));
}

class BraceFormat {
 public:
  BraceFormat(Run& run, const Arguments& arguments) : run_(run), arguments_(arguments) {}

  // `nested`: a format inside a format, where no further one may be.
  Result<std::string> expand(std::string_view text, bool nested, bool markup) {
    std::string out;
    for (size_t at; (at = text.find_first_of("{}")) != text.npos;) {
      out += text.substr(0, at);
      if (at + 1 < text.size() && text[at + 1] == text[at]) {
        out += text[at];
        text.remove_prefix(at + 2);
        continue;
      }
      const size_t end = text[at] == '{' ? closing(text, at) : text.npos;
      if (end == text.npos) return fail(Code::invalid_argument, "a single {{ or }} stands in a format text");
      LINNET_TRY(const std::string field, replaced(text.substr(at + 1, end - at - 1), nested, markup));
      out += field;
      LINNET_CHECK(run_.heap().room(out.size()));
      text.remove_prefix(end + 1);
    }
    out += text;
    return out;
  }

 private:
  // Of the brace at `at`: the one that closes it.
  static size_t closing(std::string_view text, size_t at) {
    int depth = 0;
    for (size_t i = at; i < text.size(); ++i) {
      if (text[i] == '{') ++depth;
      if (text[i] == '}' && --depth == 0) return i;
    }
    return text.npos;
  }

  // name!r:spec
  Result<std::string> replaced(std::string_view field, bool nested, bool markup) {
    const size_t colon = field.find(':');
    std::string_view name = field.substr(0, colon);
    const std::string_view spec = colon == field.npos ? "" : field.substr(colon + 1);
    char conversion = 0;
    if (const size_t mark = name.find('!'); mark != name.npos) {
      if (mark + 2 != name.size() || std::string_view("sra").find(name[mark + 1]) == std::string_view::npos)
        return fail(Code::invalid_argument, "after ! in a format text comes s, r or a");
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    LINNET_TRY(Value value, lookup(name));
    if (nested && spec.find('{') != spec.npos) return fail(Code::invalid_argument, "formats are nested too deeply");
    LINNET_TRY(const std::string format, expand(spec, true, false));
    if (conversion != 0) {
      LINNET_TRY(std::string text, converted(run_.heap(), value, conversion));
      value = run_.heap().text(std::move(text));
    }
    LINNET_TRY(const std::string text, format_value(run_.heap(), value, format));
    return markup && !value.markup() ? escape_html(text) : text;
  }

  // first.attribute[item]...
  Result<Value> lookup(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    LINNET_TRY(Value value, first(path.substr(0, end)));
    path.remove_prefix(end);
    while (!path.empty()) {
      const bool attribute = path[0] == '.';
      path.remove_prefix(1);
      const size_t stop = attribute ? std::min(path.find_first_of(".["), path.size()) : path.find(']');
      if (stop == path.npos || stop == 0)
        return fail(Code::invalid_argument, "a field of a format text is not complete");
      const std::string_view name = path.substr(0, stop);
      path.remove_prefix(attribute ? stop : stop + 1);
      const auto number = parse_integer(name);
      const Value key = number && !attribute ? Value::integer(*number) : run_.heap().text(std::string(name));
      LINNET_TRY(value, attribute ? run_.attribute(value, *run_.keep_name(name)) : run_.item(value, key));
    }
    return value;
  }

  Result<Value> first(std::string_view name) {
    const bool digits = !name.empty() && name.find_first_not_of("0123456789") == name.npos;
    if (name.empty() || digits) {
      if (numbering_ != 0 && numbering_ != (digits ? 'm' : 'a'))
        return fail(Code::invalid_argument, "a format text has both {{}} and {{0}}");
      numbering_ = digits ? 'm' : 'a';
      const auto number = digits ? parse_integer(name) : std::optional<int64_t>(next_++);
      if (!number || *number >= int64_t(arguments_.positional.size()))
        return fail(Code::invalid_argument, "the format text takes more than {} values", arguments_.positional.size());
      return arguments_.positional[size_t(*number)];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    return fail(Code::invalid_argument, "the format text asks for {}, which was not given", quote(name));
  }

  Run& run_;
  const Arguments& arguments_;
  char numbering_ = 0;  // automatic or manual
  int64_t next_ = 0;
};

}  // namespace

Result<Value> percent_format(Heap& heap, const Value& format, const Value& values) {
  return PercentFormat(heap, format, values).run();
}

Result<Value> brace_format(Run& run, const Value& format, const Arguments& arguments) {
  LINNET_TRY(std::string text, BraceFormat(run, arguments).expand(format.text(), false, format.markup()));
  return run.heap().text(std::move(text), format.markup());
}

}  // namespace linnet::jinja

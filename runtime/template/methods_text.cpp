// Methods of texts: Python's str.
#include <algorithm>
#include <optional>

#include "gguf/base/utf8.h"
#include "runtime/template/characters.h"
#include "runtime/template/format.h"
#include "runtime/template/functions.h"
#include "runtime/template/operators.h"
#include "runtime/template/run.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

std::string_view self(const Call& call) { return call.subject.text(); }

template <auto change>
Result<Value> changed(Call& call) {
  return call.like_subject(std::string(change(self(call))));
}

// Whether there are characters and a fact holds for all of them.
template <bool (*fact)(uint32_t)>
Result<Value> all_are(Call& call) {
  bool all = !self(call).empty();
  for_each_character(self(call), [&](uint32_t c, std::string_view) { all = all && fact(c); });
  return Value::boolean(all);
}

template <bool (*wanted)(uint32_t), bool (*unwanted)(uint32_t)>
Result<Value> all_cased(Call& call) {
  bool some = false, others = false;
  for_each_character(self(call), [&](uint32_t c, std::string_view) {
    some = some || wanted(c);
    others = others || unwanted(c);
  });
  return Value::boolean(some && !others);
}

Result<Value> is_ascii(Call& call) {
  return Value::boolean(std::all_of(self(call).begin(), self(call).end(), [](char c) { return uint8_t(c) < 0x80; }));
}

Result<Value> is_printable_text(Call& call) {
  bool all = true;
  for_each_character(self(call), [&](uint32_t c, std::string_view) { all = all && is_printable(c); });
  return Value::boolean(all);
}

Result<Value> is_identifier(Call& call) {
  bool all = !self(call).empty(), first = true;
  for_each_character(self(call), [&](uint32_t c, std::string_view) {
    all = all && (c == '_' || is_alphabetic(c) || (!first && is_alphanumeric(c)));
    first = false;
  });
  return Value::boolean(all);
}

// Words begin with a capital and go on with small letters.
Result<Value> is_title(Call& call) {
  bool some = false, right = true, in_word = false;
  for_each_character(self(call), [&](uint32_t c, std::string_view) {
    if (is_upper(c)) right = right && !in_word;
    if (is_lower(c)) right = right && in_word;
    in_word = is_upper(c) || is_lower(c);
    some = some || in_word;
  });
  return Value::boolean(some && right);
}

template <Side side>
Result<Value> stripped(Call& call) {
  std::optional<std::string_view> chars;
  if (call.given_not_none(0)) {
    LINNET_TRY(chars, call.text(0));
    LINNET_CHECK(call.heap().spend(self(call).size() * std::min<size_t>(chars->size(), 1024)));
  }
  return call.like_subject(std::string(strip(self(call), side, chars)));
}

Value text_list(Call& call, const std::vector<std::string_view>& parts, ListKind kind = ListKind::list) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(call.like_subject(std::string(part)));
  return call.heap().list(kind, std::move(items));
}

// The places that parts of a text take before there are texts of them.
Status room_for_parts(Call& call) {
  return call.heap().room(self(call).size() * (sizeof(Text) + sizeof(Value) + sizeof(std::string_view)));
}

template <auto divide>
Result<Value> split_method(Call& call) {
  std::optional<std::string_view> separator;
  if (call.given_not_none(0)) {
    LINNET_TRY(separator, call.text(0));
    if (separator->empty()) return call.problem("the separator is empty");
  }
  LINNET_TRY(const int64_t most, call.integer(1, -1));
  const size_t least = separator ? separator->size() : 1;
  LINNET_CHECK(call.heap().room(self(call).size() / least * (sizeof(Text) + sizeof(Value) + sizeof(std::string_view))));
  return text_list(call, divide(self(call), separator, most));
}

Result<Value> split_lines_method(Call& call) {
  LINNET_CHECK(room_for_parts(call));
  return text_list(call, split_lines(self(call), call.flag(0)));
}

template <bool from_right>
Result<Value> partition(Call& call) {
  LINNET_TRY(const std::string_view separator, call.text(0));
  if (separator.empty()) return call.problem("the separator is empty");
  const std::string_view text = self(call);
  const size_t at = from_right ? find_last(text, separator) : find(text, separator);
  std::vector<std::string_view> parts = {text.substr(0, at), separator, ""};
  if (at != text.npos) {
    parts[2] = text.substr(at + separator.size());
  } else {
    parts = from_right ? std::vector<std::string_view>{"", "", text} : std::vector<std::string_view>{text, "", ""};
  }
  return text_list(call, parts, ListKind::tuple);
}

// The part of a text that start and end arguments name, with its place in characters; nothing when the start lies
// behind the end.
struct Window {
  std::string_view text;
  int64_t start;
};

Result<std::optional<Window>> window(Call& call, size_t first) {
  const std::string_view text = self(call);
  if (!call.given_not_none(first) && !call.given_not_none(first + 1)) return std::optional<Window>({text, 0});
  const int64_t size = int64_t(characters(text));
  int64_t bounds[2] = {0, size};
  for (size_t i = 0; i < 2; ++i) {
    if (!call.given_not_none(first + i)) continue;
    LINNET_TRY(bounds[i], call.integer(first + i));
    if (bounds[i] < 0) bounds[i] = std::max<int64_t>(bounds[i] + size, 0);
  }
  bounds[1] = std::min(bounds[1], size);
  if (bounds[0] > bounds[1]) return std::optional<Window>();
  const std::string_view rest = text.substr(byte_offset(text, size_t(bounds[0])));
  return std::optional<Window>({rest.substr(0, byte_offset(rest, size_t(bounds[1] - bounds[0]))), bounds[0]});
}

Result<int64_t> found(Call& call, bool from_right) {
  LINNET_TRY(const std::string_view part, call.text(0));
  LINNET_TRY(const std::optional<Window> in, window(call, 1));
  if (!in) return int64_t(-1);
  const size_t at = from_right ? find_last(in->text, part) : find(in->text, part);
  return at == in->text.npos ? -1 : in->start + int64_t(characters(in->text.substr(0, at)));
}

template <bool from_right>
Result<Value> find_method_of_text(Call& call) {
  LINNET_TRY(const int64_t at, found(call, from_right));
  return Value::integer(at);
}

template <bool from_right>
Result<Value> index(Call& call) {
  LINNET_TRY(const int64_t at, found(call, from_right));
  if (at < 0) return call.problem("the text is not found");
  return Value::integer(at);
}

Result<Value> count(Call& call) {
  LINNET_TRY(const std::string_view part, call.text(0));
  LINNET_TRY(const std::optional<Window> in, window(call, 1));
  return Value::integer(in ? int64_t(count_occurrences(in->text, part)) : 0);
}

// One text, or any of a tuple of them.
template <bool at_end>
Result<Value> begins_or_ends(Call& call) {
  LINNET_TRY(const std::optional<Window> in, window(call, 1));
  std::vector<Value> texts = {call[0]};
  if (call[0].is_list() && call[0].list()->kind == ListKind::tuple) texts = call[0].list()->items;
  bool any = false;
  for (const Value& text : texts) {
    if (!text.is_text()) return call.wrong(0, "a text or a tuple of texts");
    any = any || (in && (at_end ? in->text.ends_with(text.text()) : in->text.starts_with(text.text())));
  }
  return Value::boolean(any);
}

Result<Value> remove_prefix(Call& call) {
  LINNET_TRY(const std::string_view prefix, call.text(0));
  return call.like_subject(std::string(self(call).substr(self(call).starts_with(prefix) ? prefix.size() : 0)));
}

Result<Value> remove_suffix(Call& call) {
  LINNET_TRY(const std::string_view suffix, call.text(0));
  const size_t cut = self(call).ends_with(suffix) ? suffix.size() : 0;
  return call.like_subject(std::string(self(call).substr(0, self(call).size() - cut)));
}

Result<Value> replace_method(Call& call) {
  LINNET_TRY(const std::string_view part, call.text(0));
  LINNET_TRY(const std::string_view by, call.text(1));
  LINNET_TRY(const int64_t most, call.integer(2, -1));
  const bool escaped = call.subject.markup() && !call[1].markup();
  const std::string escaped_by = escaped ? escape_html(by) : std::string(by);
  LINNET_TRY(const Value result, replaced(call, self(call), part, escaped_by, most));
  return call.like_subject(std::string(result.text()));
}

Result<Value> join_method(Call& call) {
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_text()) return call.problem(wrong_type("only texts to join", items[i]).message);
    if (i > 0) out += self(call);
    out += call.subject.markup() && !items[i].markup() ? escape_html(items[i].text()) : std::string(items[i].text());
    LINNET_CHECK(call.heap().room(out.size()));
  }
  LINNET_CHECK(call.heap().spend(out.size()));
  return call.like_subject(std::move(out));
}

template <Align align>
Result<Value> justified(Call& call) {
  LINNET_TRY(const int64_t width, call.integer(0));
  std::string_view fill = " ";
  if (call.given(1)) {
    LINNET_TRY(fill, call.text(1));
    if (characters(fill) != 1) return call.problem("the text is filled up with one character");
  }
  return padded(call, self(call), width, fill, align);
}

Result<Value> zero_fill(Call& call) {
  LINNET_TRY(const int64_t width, call.integer(0));
  const bool is_signed = self(call).starts_with('-') || self(call).starts_with('+');
  LINNET_TRY(const Value digits, padded(call, self(call).substr(is_signed), width - is_signed, "0", Align::right));
  return call.like_subject(std::string(self(call).substr(0, is_signed)) + std::string(digits.text()));
}

Result<Value> expand_tabs(Call& call) {
  LINNET_TRY(const int64_t size, call.integer(0, 8));
  if (size > 256) return call.problem("tabs are at most 256 wide");
  LINNET_CHECK(call.heap().room(self(call).size() * uint64_t(std::max<int64_t>(size, 1))));
  std::string out;
  int64_t column = 0;
  for_each_character(self(call), [&](uint32_t c, std::string_view bytes) {
    if (c == '\t') {
      const int64_t width = size > 0 ? size - column % size : 0;
      out.append(size_t(width), ' ');
      column += width;
    } else {
      out += bytes;
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  });
  return call.like_subject(std::move(out));
}

Result<Value> format_method(Call& call) { return brace_format(call.run, call.subject, call.rest); }

Result<Value> format_map(Call& call) {
  if (!call[0].is_dict()) return call.wrong(0, "a dict");
  Arguments arguments;
  for (const Dict::Entry& entry : call[0].dict()->entries()) {
    if (entry.key.is_text()) arguments.named.emplace_back(entry.key.text(), entry.value);
  }
  return brace_format(call.run, call.subject, arguments);
}

Result<Value> encode(Call& call) { return call.problem("bytes are not supported"); }

const Function kRows[] = {
    {"capitalize", "", changed<capitalize>},
    {"casefold", "", changed<fold_case>},
    {"center", "width fillchar? /", justified<Align::center>},
    {"count", "sub start? end? /", count},
    {"encode", "encoding? errors?", encode},
    {"endswith", "suffix start? end? /", begins_or_ends<true>},
    {"expandtabs", "tabsize?", expand_tabs},
    {"find", "sub start? end? /", find_method_of_text<false>},
    {"format", "* **", format_method},
    {"format_map", "mapping /", format_map},
    {"index", "sub start? end? /", index<false>},
    {"isalnum", "", all_are<is_alphanumeric>},
    {"isalpha", "", all_are<is_alphabetic>},
    {"isascii", "", is_ascii},
    {"isdecimal", "", all_are<is_decimal>},
    {"isdigit", "", all_are<is_digit>},
    {"isidentifier", "", is_identifier},
    {"islower", "", all_cased<is_lower, is_upper>},
    {"isnumeric", "", all_are<is_numeric>},
    {"isprintable", "", is_printable_text},
    {"isspace", "", all_are<is_space>},
    {"istitle", "", is_title},
    {"isupper", "", all_cased<is_upper, is_lower>},
    {"join", "iterable /", join_method},
    {"ljust", "width fillchar? /", justified<Align::left>},
    {"lower", "", changed<to_lower>},
    {"lstrip", "chars? /", stripped<kLeft>},
    {"partition", "sep /", partition<false>},
    {"removeprefix", "prefix /", remove_prefix},
    {"removesuffix", "suffix /", remove_suffix},
    {"replace", "old new count? /", replace_method},
    {"rfind", "sub start? end? /", find_method_of_text<true>},
    {"rindex", "sub start? end? /", index<true>},
    {"rjust", "width fillchar? /", justified<Align::right>},
    {"rpartition", "sep /", partition<true>},
    {"rsplit", "sep? maxsplit?", split_method<split_right>},
    {"rstrip", "chars? /", stripped<kRight>},
    {"split", "sep? maxsplit?", split_method<split>},
    {"splitlines", "keepends?", split_lines_method},
    {"startswith", "prefix start? end? /", begins_or_ends<false>},
    {"strip", "chars? /", stripped<kBoth>},
    {"swapcase", "", changed<swap_case>},
    {"title", "", changed<to_title>},
    {"upper", "", changed<to_upper>},
    {"zfill", "width /", zero_fill},
};

}  // namespace

std::span<const Function> text_methods() { return kRows; }

}  // namespace linnet::jinja

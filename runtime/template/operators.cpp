#include "runtime/template/operators.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/template/format.h"
#include "runtime/template/object.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

constexpr const char* kOverflow = "the result of {} {} {} does not fit 64 bits";

std::string_view symbol(Arithmetic op) {
  static constexpr std::string_view names[] = {"+", "-", "*", "/", "//", "%", "**"};
  return names[size_t(op)];
}

Error no_operator(std::string_view op, const Value& a, const Value& b) {
  for (const Value* v : {&a, &b}) {
    if (v->is_undefined()) return fail(Code::invalid_argument, "{}", missing_sentence(*v));
  }
  return fail(Code::invalid_argument, "{} does not go between {} and {}", op, type_name(a), type_name(b));
}

Result<Value> whole_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (int64_t square = base, left = exponent;;) {
    if ((left & 1) != 0 && __builtin_mul_overflow(result, square, &result)) break;
    left >>= 1;
    if (left == 0) return Value::integer(result);
    if (__builtin_mul_overflow(square, square, &square)) break;
  }
  return fail(Code::invalid_argument, kOverflow, base, "**", exponent);
}

// Rounds toward minus infinity; the divisor is not 0 and the quotient fits.
int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Result<Value> whole(Arithmetic op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Arithmetic::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Arithmetic::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Arithmetic::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Arithmetic::floor_divide:
      overflow = a == INT64_MIN && b == -1;
      if (!overflow) result = floor_divide(a, b);
      break;
    case Arithmetic::modulo:
      if (b != -1) result = a - b * floor_divide(a, b);
      break;
    default:
      return whole_power(a, b);
  }
  if (overflow) return fail(Code::invalid_argument, kOverflow, a, symbol(op), b);
  return Value::integer(result);
}

// The remainder has the sign of the divisor.
double float_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 ? (rest < 0) != (b < 0) : false) rest += b;
  return rest == 0 ? std::copysign(0.0, b) : rest;
}

double float_floor_divide(double a, double b) {
  const double quotient = (a - float_modulo(a, b)) / b;  // whole, but for rounding
  return quotient == 0 ? std::copysign(0.0, a / b) : std::nearbyint(quotient);
}

Result<Value> float_power(double a, double b) {
  if (a == 0 && b < 0) return fail(Code::invalid_argument, "0 cannot be raised to a negative power");
  const double result = std::pow(a, b);
  if (std::isnan(result) && !std::isnan(a) && !std::isnan(b))
    return fail(Code::invalid_argument, "a negative number has no power of {}", b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    return fail(Code::invalid_argument, "the result of {} ** {} is too large", a, b);
  return Value::number(result);
}

Result<Value> numbers(Arithmetic op, const Value& a, const Value& b) {
  const bool divides = op == Arithmetic::divide || op == Arithmetic::floor_divide || op == Arithmetic::modulo;
  if (divides && b.number() == 0) return fail(Code::invalid_argument, "division by zero");
  const bool stays_whole = op != Arithmetic::divide && !(op == Arithmetic::power && b.number() < 0);
  if (a.is_integer() && b.is_integer() && stays_whole) return whole(op, a.integer(), b.integer());
  const double x = a.number(), y = b.number();
  switch (op) {
    case Arithmetic::add:
      return Value::number(x + y);
    case Arithmetic::subtract:
      return Value::number(x - y);
    case Arithmetic::multiply:
      return Value::number(x * y);
    case Arithmetic::divide:
      return Value::number(x / y);
    case Arithmetic::floor_divide:
      return Value::number(float_floor_divide(x, y));
    case Arithmetic::modulo:
      return Value::number(float_modulo(x, y));
    case Arithmetic::power:
      break;
  }
  return float_power(x, y);
}

Value join_texts(Heap& heap, const Value& a, const Value& b) {
  const bool markup = a.markup() || b.markup();
  const auto part = [&](const Value& v) {
    return markup && !v.markup() ? escape_html(v.text()) : std::string(v.text());
  };
  return heap.text(part(a) + part(b), markup);
}

Result<Value> join_lists(Heap& heap, const List& a, const List& b) {
  LINNET_CHECK(heap.room((a.items.size() + b.items.size()) * sizeof(Value)));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return Value(heap.list(a.kind, std::move(items)));
}

Result<Value> repeat(Heap& heap, const Value& value, int64_t times) {
  const uint64_t n = times < 0 ? 0 : uint64_t(times);
  const uint64_t bytes = value.is_text() ? value.text().size() : value.list()->items.size() * sizeof(Value);
  uint64_t total = 0;
  LINNET_CHECK(heap.room(__builtin_mul_overflow(bytes, n, &total) ? UINT64_MAX : total));
  LINNET_CHECK(heap.spend(total));
  if (value.is_text()) {
    std::string out;
    out.reserve(total);
    for (uint64_t i = 0; i < (bytes > 0 ? n : 0); ++i) out += value.text();
    return heap.text(std::move(out), value.markup());
  }
  std::vector<Value> items;
  const std::vector<Value>& from = value.list()->items;
  for (uint64_t i = 0; i < (bytes > 0 ? n : 0); ++i) items.insert(items.end(), from.begin(), from.end());
  return Value(heap.list(value.list()->kind, std::move(items)));
}

bool is_list_or_tuple(const Value& v) { return v.is_list() && v.list()->kind <= ListKind::tuple; }

// -1, 0, 1, or 2 where a NaN takes part.
int order_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  const double x = a.number(), y = b.number();
  if (std::isnan(x) || std::isnan(y)) return 2;
  // A whole number beyond 2^53 may be rounded by number(): compare with what the other is as a whole number.
  if (x == y && a.is_integer() != b.is_integer() && std::abs(x) >= 0x1p53) {
    if (x >= 0x1p63) return a.is_integer() ? -1 : 1;
    const int64_t i = a.is_integer() ? a.integer() : int64_t(x), j = b.is_integer() ? b.integer() : int64_t(y);
    return i < j ? -1 : i > j;
  }
  return x < y ? -1 : x > y;
}

Result<int> order(Heap& heap, Comparison op, const Value& a, const Value& b, int depth);

Result<int> order_lists(Heap& heap, Comparison op, const List& a, const List& b, int depth) {
  for (size_t i = 0; i < a.items.size() && i < b.items.size(); ++i) {
    LINNET_TRY(const bool same, equal(heap, a.items[i], b.items[i], depth + 1));
    if (!same) return order(heap, op, a.items[i], b.items[i], depth + 1);
  }
  return a.items.size() < b.items.size() ? -1 : int(a.items.size() > b.items.size());
}

std::string_view symbol(Comparison op) {
  static constexpr std::string_view names[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return names[size_t(op)];
}

Result<int> order(Heap& heap, Comparison op, const Value& a, const Value& b, int depth) {
  if (depth > kMaxValueDepth) return too_deep();
  LINNET_CHECK(heap.spend(kVisit));
  if (a.is_number() && b.is_number()) return order_numbers(a, b);
  if (a.is_text() && b.is_text()) {
    LINNET_CHECK(heap.spend(std::min(a.text().size(), b.text().size())));
    const int sign = a.text().compare(b.text());  // UTF-8 sorts as its code points do
    return sign < 0 ? -1 : int(sign > 0);
  }
  if (is_list_or_tuple(a) && is_list_or_tuple(b) && a.list()->kind == b.list()->kind)
    return order_lists(heap, op, *a.list(), *b.list(), depth);
  return no_operator(symbol(op), a, b);
}

// Python's indices(): start and number of items for a sequence of `size`.
struct Span {
  int64_t start, count, step;
};

Result<int64_t> slice_bound(const Value& value, int64_t otherwise) {
  if (value.is_none() || value.is_absent()) return otherwise;
  if (value.is_integer()) return value.integer();
  return fail(Code::invalid_argument, "a slice takes whole numbers, found {}", type_name(value));
}

Result<Span> slice_span(int64_t size, const Value& start, const Value& stop, const Value& step) {
  LINNET_TRY(const int64_t by, slice_bound(step, 1));
  if (by == 0) return fail(Code::invalid_argument, "the step of a slice cannot be 0");
  const int64_t low = by < 0 ? -1 : 0, high = by < 0 ? size - 1 : size;
  const auto clamp = [&](int64_t i) { return std::clamp(i < 0 ? i + size : i, low, high); };
  const bool has_start = start.is_integer(), has_stop = stop.is_integer();
  LINNET_TRY(int64_t first, slice_bound(start, by < 0 ? high : low));
  LINNET_TRY(int64_t end, slice_bound(stop, by < 0 ? low : high));
  if (has_start) first = clamp(first);
  if (has_stop) end = clamp(end);
  const int64_t distance = by < 0 ? first - end : end - first;
  // By division of unsigned values, since -INT64_MIN does not fit.
  const uint64_t stride = by < 0 ? 0 - uint64_t(by) : uint64_t(by);
  const int64_t count = distance <= 0 ? 0 : int64_t((uint64_t(distance) - 1) / stride) + 1;
  return Span{first, count, by};
}

Value slice_text(Heap& heap, const Value& text, const Span& span) {
  const std::string_view bytes = text.text();
  if (span.step == 1) {
    const std::string_view rest = bytes.substr(byte_offset(bytes, size_t(span.start)));
    return heap.text(std::string(rest.substr(0, byte_offset(rest, size_t(span.count)))), text.markup());
  }
  std::vector<std::string_view> all;
  for_each_character(bytes, [&](uint32_t, std::string_view c) { all.push_back(c); });
  std::string out;
  for (int64_t i = 0; i < span.count; ++i) out += all[size_t(span.start + i * span.step)];
  return heap.text(std::move(out), text.markup());
}

}  // namespace

Error wrong_type(std::string_view expected, const Value& found) {
  if (found.is_undefined() && !found.is_absent()) return fail(Code::invalid_argument, "{}", missing_sentence(found));
  return fail(Code::invalid_argument, "expected {}, found {}", expected, type_name(found));
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.integer() != 0;
    case Kind::number:
      return value.number() != 0;
    case Kind::text:
      return !value.text().empty();
    case Kind::list:
      return !value.list()->has_length() || !value.list()->items.empty();
    case Kind::dict:
      return value.dict()->size() > 0;
    case Kind::object:
      return true;
  }
  return false;
}

Result<Value> arithmetic(Heap& heap, Arithmetic op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return numbers(op, a, b);
  if (op == Arithmetic::add && a.is_text() && b.is_text()) {
    LINNET_CHECK(heap.spend(a.text().size() + b.text().size()));
    return join_texts(heap, a, b);
  }
  if (op == Arithmetic::add && is_list_or_tuple(a) && is_list_or_tuple(b) && a.list()->kind == b.list()->kind) {
    LINNET_CHECK(heap.spend((a.list()->items.size() + b.list()->items.size()) * sizeof(Value)));
    return join_lists(heap, *a.list(), *b.list());
  }
  if (op == Arithmetic::multiply) {
    if ((a.is_text() || is_list_or_tuple(a)) && b.is_integer()) return repeat(heap, a, b.integer());
    if ((b.is_text() || is_list_or_tuple(b)) && a.is_integer()) return repeat(heap, b, a.integer());
  }
  if (op == Arithmetic::modulo && a.is_text()) return percent_format(heap, a, b);
  return no_operator(symbol(op), a, b);
}

Result<Value> negate(const Value& value) {
  if (value.kind() == Kind::number) return Value::number(-value.number());
  if (!value.is_integer()) return wrong_type("a number after -", value);
  if (value.integer() == INT64_MIN) return fail(Code::invalid_argument, kOverflow, 0, "-", value.integer());
  return Value::integer(-value.integer());
}

Result<Value> unary_plus(const Value& value) {
  if (value.is_boolean()) return Value::integer(value.integer());
  if (!value.is_number()) return wrong_type("a number after +", value);
  return value;
}

Result<bool> compare(Heap& heap, Comparison op, const Value& a, const Value& b) {
  switch (op) {
    case Comparison::equal:
      return equal(heap, a, b);
    case Comparison::not_equal: {
      LINNET_TRY(const bool same, equal(heap, a, b));
      return !same;
    }
    case Comparison::in:
      return contains(heap, b, a);
    case Comparison::not_in: {
      LINNET_TRY(const bool found, contains(heap, b, a));
      return !found;
    }
    default:
      break;
  }
  LINNET_TRY(const int sign, order(heap, op, a, b, 0));
  if (sign == 2) return false;
  if (op == Comparison::less) return sign < 0;
  if (op == Comparison::less_equal) return sign <= 0;
  return op == Comparison::greater ? sign > 0 : sign >= 0;
}

Result<bool> less(Heap& heap, const Value& a, const Value& b) { return compare(heap, Comparison::less, a, b); }

Result<bool> contains(Heap& heap, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::text:
      if (!item.is_text()) return wrong_type("text on the left of in, since text is on the right", item);
      LINNET_CHECK(heap.spend(container.text().size()));
      return find(container.text(), item.text()) != std::string_view::npos;
    case Kind::dict: {
      LINNET_TRY(const Value* found, container.dict()->find(item));
      return found != nullptr;
    }
    case Kind::undefined:
      return false;
    case Kind::list: {
      List& list = *container.list();
      for (size_t i = list.next; i < list.items.size(); ++i) {
        if (list.kind == ListKind::iterator) list.next = i + 1;
        LINNET_TRY(const bool same, equal(heap, item, list.items[i]));
        if (same) return true;
      }
      return false;
    }
    default:
      return wrong_type("a list, dict or text on the right of in", container);
  }
}

Value item_at(Heap& heap, const Value& container, int64_t index) {
  const int64_t size =
      container.is_text() ? int64_t(characters(container.text())) : int64_t(container.list()->items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::absent();
  if (container.is_list()) return container.list()->items[size_t(index)];
  return slice_text(heap, container, {index, 1, 1});
}

Result<Value> slice(Heap& heap, const Value& container, const Value& start, const Value& stop, const Value& step) {
  const bool list = container.is_list() && container.list()->has_items();
  if (!list && !container.is_text()) return wrong_type("a list or text before [:]", container);
  LINNET_CHECK(heap.spend(list ? 16 : container.text().size()));
  const size_t size = list ? container.list()->items.size() : characters(container.text());
  LINNET_TRY(const Span span, slice_span(int64_t(size), start, stop, step));
  if (!list) {
    // A character's place takes more than the character.
    LINNET_CHECK(heap.room(span.step == 1 ? size : size * sizeof(std::string_view)));
    return slice_text(heap, container, span);
  }
  LINNET_CHECK(heap.room(uint64_t(span.count) * sizeof(Value)));
  LINNET_CHECK(heap.spend(uint64_t(span.count) * sizeof(Value)));
  const List& from = *container.list();
  std::vector<Value> items;
  items.reserve(size_t(span.count));
  for (int64_t i = 0; i < span.count; ++i) items.push_back(from.items[size_t(span.start + i * span.step)]);
  List* made = heap.list(from.kind, std::move(items));
  if (from.kind == ListKind::range) {
    made->start = from.start + span.start * from.step;
    made->step = from.step * span.step;
  }
  return Value(made);
}

Result<std::vector<Value>> elements(Heap& heap, const Value& value) {
  std::vector<Value> all;
  switch (value.kind()) {
    case Kind::undefined:
      break;
    case Kind::list: {
      List& list = *value.list();
      LINNET_CHECK(heap.room(list.items.size() * sizeof(Value)));
      LINNET_CHECK(heap.spend(list.items.size() * sizeof(Value)));
      all.assign(list.items.begin() + int64_t(list.next), list.items.end());
      if (list.kind == ListKind::iterator) list.next = list.items.size();
      break;
    }
    case Kind::dict:
      LINNET_CHECK(heap.room(value.dict()->size() * sizeof(Value)));
      LINNET_CHECK(heap.spend(value.dict()->size() * sizeof(Value)));
      for (const Dict::Entry& entry : value.dict()->entries()) all.push_back(entry.key);
      break;
    case Kind::text: {
      const uint64_t bytes = value.text().size() * (sizeof(Text) + sizeof(Value) + 1);
      LINNET_CHECK(heap.room(bytes));
      LINNET_CHECK(heap.spend(bytes));
      for_each_character(value.text(), [&](uint32_t, std::string_view c) { all.push_back(heap.text(std::string(c))); });
      break;
    }
    default:
      return fail(Code::invalid_argument, "a {} cannot be iterated over", type_name(value));
  }
  return all;
}

}  // namespace linnet::jinja

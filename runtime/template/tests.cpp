// Tests: what stands after `is`.
#include "runtime/template/characters.h"
#include "runtime/template/functions.h"
#include "runtime/template/operators.h"
#include "runtime/template/print.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

// A test of one value that cannot fail.
template <bool (*holds)(const Value&)>
Result<Value> fact(Call& call) {
  return Value::boolean(holds(call.subject));
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.is_boolean(); }
bool is_true(const Value& v) { return v.is_boolean() && v.boolean(); }
bool is_false(const Value& v) { return v.is_boolean() && !v.boolean(); }
bool is_integer(const Value& v) { return v.kind() == Kind::integer; }
bool is_float(const Value& v) { return v.kind() == Kind::number; }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is_text(); }
bool is_mapping(const Value& v) { return v.is_dict(); }
bool is_escaped(const Value& v) { return v.markup(); }
bool is_iterable(const Value& v) { return v.is_undefined() || v.is_text() || v.is_list() || v.is_dict(); }
// Jinja2 asks whether there are a length and items by some key: so for dicts, and for what is undefined.
bool is_sequence(const Value& v) {
  return v.is_undefined() || v.is_text() || v.is_dict() || (v.is_list() && v.list()->has_items());
}
bool is_callable(const Value& v) { return v.is_undefined() || (v.is_object() && v.object()->callable()); }

// The value modulo another, compared with `wanted`.
Result<Value> remainder_is(Call& call, const Value& divisor, int64_t wanted) {
  LINNET_TRY(const Value rest, arithmetic(call.heap(), Arithmetic::modulo, call.subject, divisor));
  LINNET_TRY(const bool same, equal(call.heap(), rest, Value::integer(wanted)));
  return Value::boolean(same);
}

Result<Value> is_odd(Call& call) { return remainder_is(call, Value::integer(2), 1); }
Result<Value> is_even(Call& call) { return remainder_is(call, Value::integer(2), 0); }
Result<Value> is_divisible(Call& call) { return remainder_is(call, call[0], 0); }

template <Comparison op>
Result<Value> compared(Call& call) {
  LINNET_TRY(const bool holds, compare(call.heap(), op, call.subject, call[0]));
  return Value::boolean(holds);
}

// Whether two values are one object. Equal numbers and equal texts of at most one character are, as in CPython.
Result<Value> is_same(Call& call) {
  const Value &a = call.subject, &b = call[0];
  if (a.kind() != b.kind()) return Value::boolean(false);
  if (a.is_list()) return Value::boolean(a.list() == b.list());
  if (a.is_dict()) return Value::boolean(a.dict() == b.dict());
  const bool same_text = a.is_text() && (a.text_object() == b.text_object() || characters(a.text()) <= 1);
  if (a.is_text() && !same_text) return Value::boolean(false);
  LINNET_TRY(const bool same, equal(call.heap(), a, b));
  return Value::boolean(same);
}

// str.islower and str.isupper: some letters have cases, and all of them this one.
template <bool (*wanted)(uint32_t), bool (*unwanted)(uint32_t)>
Result<Value> all_cased(Call& call) {
  LINNET_TRY(const std::string text, to_text(call.heap(), call.subject));
  bool some = false, others = false;
  for_each_character(text, [&](uint32_t c, std::string_view) {
    some = some || wanted(c);
    others = others || unwanted(c);
  });
  return Value::boolean(some && !others);
}

template <const Function* (*find)(std::string_view)>
Result<Value> exists(Call& call) {
  return Value::boolean(call.subject.is_text() && find(call.subject.text()) != nullptr);
}

const Function kRows[] = {
    {"!=", "other", compared<Comparison::not_equal>},
    {"<", "other", compared<Comparison::less>},
    {"<=", "other", compared<Comparison::less_equal>},
    {"==", "other", compared<Comparison::equal>},
    {">", "other", compared<Comparison::greater>},
    {">=", "other", compared<Comparison::greater_equal>},
    {"boolean", "", fact<is_boolean>},
    {"callable", "", fact<is_callable>},
    {"defined", "", fact<is_defined>},
    {"divisibleby", "num", is_divisible},
    {"eq", "other", compared<Comparison::equal>},
    {"equalto", "other", compared<Comparison::equal>},
    {"escaped", "", fact<is_escaped>},
    {"even", "", is_even},
    {"false", "", fact<is_false>},
    {"filter", "", exists<find_filter>},
    {"float", "", fact<is_float>},
    {"ge", "other", compared<Comparison::greater_equal>},
    {"greaterthan", "other", compared<Comparison::greater>},
    {"gt", "other", compared<Comparison::greater>},
    {"in", "seq", compared<Comparison::in>},
    {"integer", "", fact<is_integer>},
    {"iterable", "", fact<is_iterable>},
    {"le", "other", compared<Comparison::less_equal>},
    {"lessthan", "other", compared<Comparison::less>},
    {"lower", "", all_cased<is_lower, is_upper>},
    {"lt", "other", compared<Comparison::less>},
    {"mapping", "", fact<is_mapping>},
    {"ne", "other", compared<Comparison::not_equal>},
    {"none", "", fact<is_none>},
    {"number", "", fact<is_number>},
    {"odd", "", is_odd},
    {"sameas", "other", is_same},
    {"sequence", "", fact<is_sequence>},
    {"string", "", fact<is_string>},
    {"test", "", exists<find_test>},
    {"true", "", fact<is_true>},
    {"undefined", "", fact<is_undefined>},
    {"upper", "", all_cased<is_upper, is_lower>},
};

}  // namespace

std::span<const Function> test_functions() { return kRows; }

}  // namespace linnet::jinja

#include <fmt/format.h>

#include "runtime/template/functions.h"
#include "runtime/template/nodes.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"

namespace linnet::jinja {

Result<Value> Expression::evaluate(Run& run) const {
  LINNET_CHECK(run.enter(place));
  auto result = value(run);
  run.leave();
  if (!result) run.failed_at(place);
  return result;
}

Name Program::name(std::string_view spelling) {
  auto& known = names_[std::string(spelling)];
  if (!known) known = std::make_unique<std::string>(spelling);
  return known.get();
}

Name Program::find_name(std::string_view spelling) const {
  const auto known = names_.find(std::string(spelling));
  return known == names_.end() ? nullptr : known->second.get();
}

Text* Program::constant(std::string text) { return &constants_.emplace_back(Text{std::move(text), false, nullptr, 0}); }

Result<Value> Variable::value(Run& run) const { return run.lookup(name); }

Result<Value> Sequence::value(Run& run) const {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const Expression* item : items) {
    LINNET_TRY(Value one, item->evaluate(run));
    values.push_back(std::move(one));
  }
  return Value(run.heap().list(kind, std::move(values)));
}

Result<Value> DictDisplay::value(Run& run) const {
  Dict* dict = run.heap().dict();
  for (const auto& [key, item] : items) {
    LINNET_TRY(const Value name, key->evaluate(run));
    LINNET_TRY(Value one, item->evaluate(run));
    LINNET_CHECK(dict->set(name, std::move(one)));
  }
  return Value(dict);
}

Result<Value> Attribute::value(Run& run) const {
  LINNET_TRY(const Value object, of->evaluate(run));
  return run.attribute(object, *name);
}

Result<Value> Subscript::value(Run& run) const {
  LINNET_TRY(const Value object, of->evaluate(run));
  LINNET_TRY(const Value index, key->evaluate(run));
  return run.item(object, index);
}

Result<Value> Slice::value(Run& run) const {
  LINNET_TRY(const Value object, of->evaluate(run));
  Value parts[3] = {Value::none(), Value::none(), Value::none()};
  const Expression* given[3] = {start, stop, step};
  for (int i = 0; i < 3; ++i) {
    if (given[i] == nullptr) continue;
    LINNET_TRY(parts[i], given[i]->evaluate(run));
  }
  return slice(run.heap(), object, parts[0], parts[1], parts[2]);
}

Result<Arguments> CallArguments::evaluate(Run& run) const {
  Arguments all;
  all.positional.reserve(positional.size());
  for (const Expression* argument : positional) {
    LINNET_TRY(Value one, argument->evaluate(run));
    all.positional.push_back(std::move(one));
  }
  const auto add_named = [&all](std::string_view name, Value one) -> Status {
    for (const auto& known : all.named) {
      if (known.first == name) return fail(Code::invalid_argument, "the argument {} is given twice", name);
    }
    all.named.emplace_back(name, std::move(one));
    return {};
  };
  for (const auto& [name, argument] : named) {
    LINNET_TRY(Value one, argument->evaluate(run));
    LINNET_CHECK(add_named(*name, std::move(one)));
  }
  if (rest != nullptr) {
    LINNET_TRY(const Value list, rest->evaluate(run));
    LINNET_TRY(const std::vector<Value> more, elements(run.heap(), list));
    all.positional.insert(all.positional.end(), more.begin(), more.end());
  }
  if (named_rest != nullptr) {
    LINNET_TRY(const Value dict, named_rest->evaluate(run));
    if (!dict.is_dict()) return wrong_type("a dict after **", dict);
    LINNET_CHECK(run.heap().spend(dict.dict()->size() * dict.dict()->size()));
    for (const Dict::Entry& entry : dict.dict()->entries()) {
      if (!entry.key.is_text()) return wrong_type("texts as keys after **", entry.key);
      LINNET_CHECK(add_named(*run.keep_name(entry.key.text()), entry.value));
    }
  }
  return all;
}

Result<Value> CallExpression::value(Run& run) const { return call(run, nullptr); }

// `caller`: of a call block, passed as an argument of that name.
Result<Value> CallExpression::call(Run& run, const Value* caller) const {
  Value target;
  if (method != nullptr) {
    LINNET_TRY(target, method->of->evaluate(run));
  } else {
    LINNET_TRY(target, callee->evaluate(run));
  }
  LINNET_TRY(Arguments all, arguments.evaluate(run));
  if (caller != nullptr) all.named.emplace_back("caller", *caller);
  return method != nullptr ? run.call_method(target, *method->name, all) : run.call(target, all);
}

Result<Value> FilterExpression::value(Run& run) const {
  LINNET_TRY(const Value subject, of->evaluate(run));
  return apply(run, subject);
}

Result<Value> FilterExpression::apply(Run& run, const Value& subject) const {
  if (function == nullptr) return fail(Code::invalid_argument, "there is no filter {}", *name);
  LINNET_TRY(const Arguments all, arguments.evaluate(run));
  return invoke(run, *function, subject, all);
}

Result<Value> TestExpression::value(Run& run) const {
  LINNET_TRY(const Value subject, of->evaluate(run));
  if (function == nullptr) return fail(Code::invalid_argument, "there is no test {}", *name);
  LINNET_TRY(const Arguments all, arguments.evaluate(run));
  LINNET_TRY(const Value result, invoke(run, *function, subject, all));
  return negated ? Value::boolean(!truthy(result)) : result;
}

Result<Value> ArithmeticExpression::value(Run& run) const {
  LINNET_TRY(const Value a, left->evaluate(run));
  LINNET_TRY(const Value b, right->evaluate(run));
  return arithmetic(run.heap(), op, a, b);
}

Result<Value> SignExpression::value(Run& run) const {
  LINNET_TRY(const Value number, of->evaluate(run));
  return minus ? negate(number) : unary_plus(number);
}

Result<Value> NotExpression::value(Run& run) const {
  LINNET_TRY(const Value condition, of->evaluate(run));
  return Value::boolean(!truthy(condition));
}

Result<Value> ConcatExpression::value(Run& run) const {
  std::string text;
  for (const Expression* part : parts) {
    LINNET_TRY(const Value one, part->evaluate(run));
    LINNET_TRY(const std::string more, to_text(run.heap(), one));
    text += more;
    LINNET_CHECK(run.heap().room(text.size()));
  }
  LINNET_CHECK(run.heap().spend(text.size()));
  return run.heap().text(std::move(text));
}

Result<Value> ComparisonExpression::value(Run& run) const {
  LINNET_TRY(Value left, first->evaluate(run));
  for (const auto& [op, expression] : rest) {
    LINNET_TRY(Value right, expression->evaluate(run));
    LINNET_TRY(const bool holds, compare(run.heap(), op, left, right));
    if (!holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Result<Value> LogicExpression::value(Run& run) const {
  Value result;
  for (const Expression* part : parts) {
    LINNET_TRY(result, part->evaluate(run));
    if (truthy(result) != is_and) break;
  }
  return result;
}

Result<Value> ConditionalExpression::value(Run& run) const {
  static const std::string kNoElse = "the inline if is false and has no else";
  LINNET_TRY(const Value chosen, condition->evaluate(run));
  if (truthy(chosen)) return yes->evaluate(run);
  if (no == nullptr) return Value(Missing::hint, &kNoElse);
  return no->evaluate(run);
}

}  // namespace linnet::jinja

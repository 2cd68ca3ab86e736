#include <fmt/format.h>

#include "runtime/template/loop.h"
#include "runtime/template/macro.h"
#include "runtime/template/nodes.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"

namespace linnet::jinja {
namespace {

// What a block wrote, in a scope of its own, through its filters; the flow is not `next` when it was left before.
Result<Flow> captured(Run& run, const Body& body, const std::vector<const FilterExpression*>& filters, Value& out) {
  const InnerScope scope(run);
  Capture capture(run);
  LINNET_TRY(const Flow flow, execute(run, body));
  if (flow != Flow::next) return flow;
  out = run.heap().text(capture.take());
  for (const FilterExpression* filter : filters) { LINNET_TRY(out, filter->apply(run, out)); }
  return Flow::next;
}

Status write_value(Run& run, const Value& value) {
  if (value.is_text()) return run.write(value.text());
  LINNET_TRY(const std::string text, to_text(run.heap(), value));
  return run.write(text);
}

}  // namespace

Result<Flow> Statement::execute(Run& run) const {
  LINNET_CHECK(run.enter(place));
  Status counted = run.step();
  Result<Flow> flow = counted ? perform(run) : Result<Flow>(counted.error());
  run.leave();
  if (!flow) run.failed_at(place);
  return flow;
}

Result<Flow> execute(Run& run, const Body& body) {
  for (const Statement* statement : body) {
    LINNET_TRY(const Flow flow, statement->execute(run));
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Status Target::assign(Run& run, const Value& value) const {
  if (name == nullptr) {
    LINNET_TRY(const std::vector<Value> values, elements(run.heap(), value));
    if (values.size() != items.size())
      return fail(Code::invalid_argument, "{} values are put into {} names", values.size(), items.size());
    for (size_t i = 0; i < items.size(); ++i) LINNET_CHECK(items[i].assign(run, values[i]));
    return {};
  }
  if (attribute == nullptr) {
    run.define(name, value);
    return {};
  }
  const Value object = run.lookup(name);
  auto* space = object.is_object() ? dynamic_cast<Namespace*>(object.object()) : nullptr;
  if (space == nullptr)
    return fail(Code::invalid_argument, "{} is no namespace, so {}.{} cannot be set", *name, *name, *attribute);
  if (Value* known = space->names().find(*attribute)) {
    *known = value;
  } else {
    space->names().set_text(run.heap().text(*attribute), value);
  }
  return {};
}

Result<Flow> TextStatement::perform(Run& run) const {
  LINNET_CHECK(run.write(text));
  return Flow::next;
}

Result<Flow> OutputStatement::perform(Run& run) const {
  LINNET_TRY(const Value value, expression->evaluate(run));
  LINNET_CHECK(write_value(run, value));
  return Flow::next;
}

Result<Flow> IfStatement::perform(Run& run) const {
  for (const auto& [condition, body] : branches) {
    if (condition != nullptr) {
      LINNET_TRY(const Value holds, condition->evaluate(run));
      if (!truthy(holds)) continue;
    }
    return jinja::execute(run, body);
  }
  return Flow::next;
}

Result<Flow> ForStatement::perform(Run& run) const {
  LINNET_TRY(const Value over, sequence->evaluate(run));
  return Loop::run_over(run, *this, over, run.scope(), 0);
}

Result<Flow> SetStatement::perform(Run& run) const {
  LINNET_TRY(const Value result, value->evaluate(run));
  LINNET_CHECK(target.assign(run, result));
  return Flow::next;
}

Result<Flow> SetBlock::perform(Run& run) const {
  Value text;
  LINNET_TRY(const Flow flow, captured(run, body, filters, text));
  if (flow == Flow::next) LINNET_CHECK(target.assign(run, text));
  return flow;
}

Result<Flow> FilterBlock::perform(Run& run) const {
  Value text;
  LINNET_TRY(const Flow flow, captured(run, body, filters, text));
  if (flow == Flow::next) LINNET_CHECK(write_value(run, text));
  return flow;
}

Result<Flow> WithStatement::perform(Run& run) const {
  std::vector<Value> values;
  for (const auto& [target, expression] : assignments) {
    LINNET_TRY(Value value, expression->evaluate(run));
    values.push_back(std::move(value));
  }
  const InnerScope scope(run);
  for (size_t i = 0; i < values.size(); ++i) LINNET_CHECK(assignments[i].first.assign(run, values[i]));
  return jinja::execute(run, body);
}

Result<Flow> AutoescapeStatement::perform(Run& run) const {
  LINNET_TRY(const Value wanted, on->evaluate(run));
  if (truthy(wanted)) return fail(Code::unsupported, "autoescape is not supported: a prompt is no HTML");
  const InnerScope scope(run);
  return jinja::execute(run, body);
}

Result<Flow> MacroStatement::perform(Run& run) const {
  run.define(code.name, run.heap().object<Macro>(code, run.scope()));
  return Flow::next;
}

Result<Flow> CallBlock::perform(Run& run) const {
  const Value caller = run.heap().object<Macro>(code, run.scope());
  LINNET_TRY(const Value result, call->call(run, &caller));
  LINNET_CHECK(write_value(run, result));
  return Flow::next;
}

}  // namespace linnet::jinja

#include "runtime/template/macro.h"

#include <fmt/format.h>

#include "runtime/template/strings.h"

namespace linnet::jinja {

std::string Macro::name() const { return code_.name != nullptr ? quote(*code_.name) : "anonymous"; }

Result<std::string> Macro::print(Heap&) const { return fmt::format("<Macro {}>", name()); }

Result<Value> Macro::attribute(Run& run, std::string_view name) {
  if (name == "name") return code_.name != nullptr ? run.heap().text(*code_.name) : Value::none();
  if (name == "arguments") {
    List* names = run.heap().list(ListKind::tuple);
    for (const auto& [parameter, otherwise] : code_.parameters) names->append(run.heap().text(*parameter));
    return Value(names);
  }
  if (name == "catch_kwargs") return Value::boolean(code_.kwargs != nullptr);
  if (name == "catch_varargs") return Value::boolean(code_.varargs != nullptr);
  if (name == "caller") return Value::boolean(code_.caller != nullptr);
  return Value::absent();
}

Result<Value> Macro::call(Run& run, const Arguments& arguments) {
  const MacroCall counted(run);
  LINNET_CHECK(counted.allowed());
  LINNET_CHECK(run.step());
  const InnerScope scope(run, scope_);
  LINNET_CHECK(define_parameters(run, arguments));
  Capture capture(run);
  LINNET_TRY(const Flow flow, execute(run, code_.body));
  static_cast<void>(flow);  // a break cannot leave a macro: the parser sees to it
  return run.heap().text(capture.take());
}

Status Macro::define_parameters(Run& run, const Arguments& arguments) const {
  std::vector<bool> used(arguments.named.size());
  std::vector<bool> given(code_.parameters.size());
  for (size_t i = 0; i < code_.parameters.size(); ++i) {
    const Name parameter = code_.parameters[i].first;
    if (i < arguments.positional.size()) {
      run.define(parameter, arguments.positional[i]);
      given[i] = true;
      continue;
    }
    for (size_t j = 0; j < used.size(); ++j) {
      if (arguments.named[j].first != *parameter) continue;
      run.define(parameter, arguments.named[j].second);
      given[i] = used[j] = true;
    }
  }
  LINNET_CHECK(define_rest(run, arguments, used));
  // A default sees the parameters, not what has their names outside.
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i]) run.define(code_.parameters[i].first, Value(Missing::parameter, code_.parameters[i].first));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const auto& [parameter, otherwise] = code_.parameters[i];
    if (given[i] || otherwise == nullptr) continue;
    LINNET_TRY(Value value, otherwise->evaluate(run));
    run.define(parameter, std::move(value));
  }
  return {};
}

// caller, kwargs and varargs, where the body uses them; else what they would take is an error.
Status Macro::define_rest(Run& run, const Arguments& arguments, std::vector<bool>& used) const {
  static const std::string kNoCaller = "no caller is defined: the macro was not called by a call block";
  if (code_.caller != nullptr) {
    Value caller(Missing::hint, &kNoCaller);
    for (size_t j = 0; j < used.size(); ++j) {
      if (arguments.named[j].first != "caller") continue;
      caller = arguments.named[j].second;
      used[j] = true;
    }
    run.define(code_.caller, std::move(caller));
  }
  Dict* named = code_.kwargs != nullptr ? run.heap().dict() : nullptr;
  for (size_t j = 0; j < used.size(); ++j) {
    if (used[j]) continue;
    const auto& [key, value] = arguments.named[j];
    if (named == nullptr) return fail(Code::invalid_argument, "macro {} takes no argument named {}", name(), key);
    named->set_text(run.heap().text(std::string(key)), value);
  }
  if (named != nullptr) run.define(code_.kwargs, named);
  const size_t taken = std::min(code_.parameters.size(), arguments.positional.size());
  if (code_.varargs != nullptr) {
    run.define(code_.varargs, run.heap().list(ListKind::tuple, {arguments.positional.begin() + int64_t(taken),
                                                                arguments.positional.end()}));
  } else if (taken < arguments.positional.size()) {
    return fail(Code::invalid_argument, "macro {} takes at most {} arguments, {} were given", name(),
                code_.parameters.size(), arguments.positional.size());
  }
  return {};
}

}  // namespace linnet::jinja

#include "runtime/template/functions.h"

#include <algorithm>

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"

namespace linnet::jinja {
namespace {

// Calls visit(word) for each word of a space-separated list.
template <class Visit>
void for_each_word(std::string_view words, Visit visit) {
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    visit(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

struct Parameter {
  std::string_view name;
  bool optional;
};

struct Parameters {
  std::vector<Parameter> names;
  size_t by_position_only = 0;
  bool any_positional = false, any_named = false;
};

Parameters parse(std::string_view words) {
  Parameters p;
  for_each_word(words, [&](std::string_view word) {
    if (word == "*") {
      p.any_positional = true;
    } else if (word == "**") {
      p.any_named = true;
    } else if (word == "/") {
      p.by_position_only = p.names.size();
    } else {
      const bool optional = word.ends_with('?');
      p.names.push_back({optional ? word.substr(0, word.size() - 1) : word, optional});
    }
  });
  return p;
}

}  // namespace

Status Call::bind(const Arguments& arguments) {
  const Parameters p = parse(function_.parameters);
  arguments_.assign(p.names.size(), Value::absent());
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < p.names.size()) {
      arguments_[i] = arguments.positional[i];
    } else if (p.any_positional) {
      rest.positional.push_back(arguments.positional[i]);
    } else {
      return problem(
          fmt::format("takes at most {} arguments, {} were given", p.names.size(), arguments.positional.size()));
    }
  }
  for (const auto& [name, value] : arguments.named) {
    const std::string_view given_name = name;
    const auto is_it = [given_name](const Parameter& parameter) { return parameter.name == given_name; };
    const auto found = std::find_if(p.names.begin() + int64_t(p.by_position_only), p.names.end(), is_it);
    const size_t i = size_t(found - p.names.begin());
    if (found == p.names.end()) {
      if (!p.any_named) return problem(fmt::format("takes no argument named {}", name));
      rest.named.emplace_back(name, value);
    } else if (given(i)) {
      return problem(fmt::format("the argument {} is given twice", name));
    } else {
      arguments_[i] = value;
    }
  }
  for (size_t i = 0; i < p.names.size(); ++i) {
    if (!given(i) && !p.names[i].optional) return problem(fmt::format("the argument {} is missing", p.names[i].name));
  }
  return {};
}

Error Call::problem(std::string_view message) const {
  return fail(Code::invalid_argument, "{}: {}", function_.name, message);
}

Error Call::wrong(size_t i, std::string_view expected) const {
  return problem(wrong_type(expected, arguments_[i]).message);
}

Result<int64_t> Call::integer(size_t i) const {
  if (!arguments_[i].is_integer()) return wrong(i, "a whole number");
  return arguments_[i].integer();
}

Result<int64_t> Call::integer(size_t i, int64_t otherwise) const {
  if (!given(i)) return otherwise;
  return integer(i);
}

Result<std::string_view> Call::text(size_t i) const {
  if (!arguments_[i].is_text()) return wrong(i, "text");
  return arguments_[i].text();
}

bool Call::flag(size_t i) const { return truthy(arguments_[i]); }

Heap& Call::heap() const { return run.heap(); }

Value Call::like_subject(std::string text) const { return heap().text(std::move(text), subject.markup()); }

Result<Value> Call::subject_text() const {
  if (subject.is_text()) return subject;
  LINNET_TRY(std::string text, to_text(heap(), subject));
  return heap().text(std::move(text));
}

Result<Value> invoke(Run& run, const Function& function, const Value& subject, const Arguments& arguments) {
  LINNET_CHECK(run.step());
  Call call(run, function, subject);
  LINNET_CHECK(call.bind(arguments));
  // Whatever a function does, it looks at the whole text.
  if (subject.is_text()) LINNET_CHECK(run.heap().spend(subject.text().size()));
  return function.body(call);
}

const Function* find_function(std::span<const Function> rows, std::string_view name) {
  for (const Function& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const Function* find_filter(std::string_view name) {
  const Function* found = find_function(text_filters(), name);
  return found != nullptr ? found : find_function(sequence_filters(), name);
}

const Function* find_test(std::string_view name) { return find_function(test_functions(), name); }

const Function* find_method(const Value& value, std::string_view name) {
  if (value.is_text()) return find_function(text_methods(), name);
  if (value.is_dict()) return find_function(dict_methods(), name);
  if (!value.is_list()) return nullptr;
  if (value.list()->kind == ListKind::list) return find_function(list_methods(), name);
  return value.list()->has_items() ? find_function(tuple_methods(), name) : nullptr;
}

Result<std::string> BoundFunction::print(Heap&) const { return fmt::format("<function {}>", function_.name); }

Result<Value> BoundFunction::call(Run& run, const Arguments& arguments) {
  return invoke(run, function_, subject_, arguments);
}

Result<std::string> Namespace::print(Heap& heap) const {
  LINNET_TRY(const std::string names, repr(heap, Value(names_)));
  return "<Namespace " + names + ">";
}

Result<Value> Namespace::attribute(Run&, std::string_view name) {
  const Value* found = names_->find(name);
  return found != nullptr ? *found : Value::absent();
}

}  // namespace linnet::jinja

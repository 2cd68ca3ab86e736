#include "runtime/template/run.h"

#include <algorithm>

#include "gguf/base/utf8.h"
#include "runtime/template/lexer.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

bool is_internal(std::string_view name) { return name.starts_with("__") && name.ends_with("__"); }

}  // namespace

Run::Run(const Program& program, const Limits& limits, std::optional<CivilTime> now)
    : program_(program), now_(now), heap_(limits), scope_(std::make_shared<Scope>()), output_(&main_output_) {
  for (const Function& function : global_functions()) {
    if (const Name name = program.find_name(function.name))
      define(name, heap_.object<BoundFunction>(function, Value::none()));
  }
}

Run::~Run() = default;

Status Run::step() {
  if (++steps_ <= heap_.limits().steps) return {};
  return fail(Code::too_large, "the template takes more than {} steps; does a loop not end?", heap_.limits().steps);
}

Status Run::enter(uint32_t place) {
  ++nesting_;
  Status status = heap_.spend(kVisit);
  if (status) status = heap_.room();
  if (status && nesting_ > heap_.limits().nesting) {
    status = fail(Code::too_large, "the template is nested more than {} deep while it runs; does a macro call itself?",
                  heap_.limits().nesting);
  }
  if (status) return status;
  leave();
  failed_at(place);
  return status;
}

void Run::failed_at(uint32_t place) {
  if (!error_place_) error_place_ = place;
}

Error Run::located(Error error) const {
  if (error_place_)
    error.message =
        fmt::format("line {} of the chat template: {}", line_of(program_.source, *error_place_), error.message);
  return error;
}

Value Run::lookup(Name name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->outer.get()) {
    for (const auto& [known, value] : scope->names) {
      if (known == name) return value;
    }
  }
  return Value(Missing::name, name);
}

void Run::define(Name name, Value value) {
  for (auto& [known, old] : scope_->names) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  scope_->names.emplace_back(name, std::move(value));
}

const std::string* Run::keep_name(std::string_view spelling) {
  heap_.charge(spelling.size() + sizeof(std::string));
  spellings_.push_back(std::make_unique<std::string>(spelling));
  return spellings_.back().get();
}

Status Run::write(std::string_view text) {
  if (text.size() > heap_.limits().output - written_)
    return fail(Code::too_large, "the template writes more than {} bytes", heap_.limits().output);
  *output_ += text;
  written_ += text.size();
  return {};
}

Result<Value> Run::attribute(const Value& value, const std::string& name) {
  if (value.is_undefined()) return fail(Code::invalid_argument, "{}", missing_sentence(value));
  if (const Function* method = find_method(value, name)) return Value(heap_.object<BoundFunction>(*method, value));
  if (value.is_dict()) {
    if (const Value* found = value.dict()->find(name)) return *found;
  }
  if (value.is_list() && value.list()->is_group && (name == "grouper" || name == "list"))
    return value.list()->items[name == "list"];
  if (value.is_object()) {
    LINNET_TRY(Value found, value.object()->attribute(*this, name));
    if (!found.is_absent()) return found;
  }
  return Value(is_internal(name) ? Missing::internal : Missing::attribute, &name);
}

Result<Value> Run::item(const Value& value, const Value& key) {
  if (value.is_undefined()) return fail(Code::invalid_argument, "{}", missing_sentence(value));
  if (value.is_dict() && !key.is_list() && !key.is_dict()) {
    LINNET_TRY(const Value* found, value.dict()->find(key));
    if (found != nullptr) return *found;
  }
  const bool by_number = value.is_text() || (value.is_list() && value.list()->has_items());
  if (by_number && key.is_integer()) {
    if (value.is_text()) LINNET_CHECK(heap_.spend(value.text().size()));
    Value found = item_at(heap_, value, key.integer());
    return found.is_absent() ? Value(Missing::item, keep_name(fmt::format("{}", key.integer()))) : found;
  }
  if (!key.is_text()) return Value();
  if (const Function* method = find_method(value, key.text()))
    return Value(heap_.object<BoundFunction>(*method, value));
  if (value.is_object()) {
    LINNET_TRY(Value found, value.object()->attribute(*this, key.text()));
    if (!found.is_absent()) return found;
  }
  // Only a constant outlives the key.
  const std::string* name = key.text_object()->heap == nullptr ? &key.text_object()->bytes : nullptr;
  return Value(is_internal(key.text()) ? Missing::internal : Missing::item, name);
}

Result<Value> Run::path(const Value& value, const Value& attribute) {
  if (attribute.is_none() || attribute.is_absent()) return value;
  if (!attribute.is_text()) return item(value, attribute);
  Value found = value;
  for (const std::string_view part : split(attribute.text(), ".", -1)) {
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    const auto number = digits ? parse_integer(part) : std::nullopt;
    LINNET_TRY(found, item(found, number ? Value::integer(*number) : heap_.text(std::string(part))));
  }
  return found;
}

Result<Value> Run::call(const Value& callee, const Arguments& arguments) {
  if (callee.is_undefined()) return fail(Code::invalid_argument, "{}", missing_sentence(callee));
  if (!callee.is_object()) return fail(Code::invalid_argument, "a {} cannot be called", type_name(callee));
  return callee.object()->call(*this, arguments);
}

Result<Value> Run::call_method(const Value& value, const std::string& name, const Arguments& arguments) {
  if (const Function* method = find_method(value, name)) return invoke(*this, *method, value, arguments);
  LINNET_TRY(const Value callee, attribute(value, name));
  return call(callee, arguments);
}

Status MacroCall::allowed() const {
  if (run_.calls_ <= run_.heap_.limits().calls) return {};
  return fail(Code::too_large, "macros call each other more than {} deep; does one call itself?",
              run_.heap_.limits().calls);
}

}  // namespace linnet::jinja

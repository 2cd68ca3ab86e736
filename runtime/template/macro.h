// A macro, or the inside of a call block, as a value.
#pragma once

#include <memory>
#include <string>

#include "runtime/template/nodes.h"
#include "runtime/template/run.h"

namespace linnet::jinja {

class Macro : public Object {
 public:
  Macro(const MacroCode& code, std::shared_ptr<Scope> scope) : code_(code), scope_(std::move(scope)) {}
  std::string_view type_name() const override { return "Macro"; }
  Result<std::string> print(Heap& heap) const override;
  Result<Value> attribute(Run& run, std::string_view name) override;
  bool callable() const override { return true; }
  Result<Value> call(Run& run, const Arguments& arguments) override;

 private:
  Status define_parameters(Run& run, const Arguments& arguments) const;
  Status define_rest(Run& run, const Arguments& arguments, std::vector<bool>& used) const;
  std::string name() const;

  const MacroCode& code_;
  std::shared_ptr<Scope> scope_;
};

}  // namespace linnet::jinja

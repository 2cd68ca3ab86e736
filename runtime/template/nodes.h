// A compiled template: a tree of expressions and statements, which run themselves (expressions.cpp, statements.cpp).
// The nodes of a template are owned by its Program; a tree is no deeper than kMaxNesting.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/object.h"
#include "runtime/template/operators.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

struct Function;

inline constexpr uint32_t kMaxNesting = 250;

// A name, one object per spelling in a program: compared by address.
using Name = const std::string*;

// What a statement asks of the loop around it.
enum class Flow : uint8_t { next, leave, again };

class Node {
 public:
  virtual ~Node() = default;
  uint32_t place = 0;   // byte offset in the source
  uint32_t height = 1;  // of the tree below, itself included
};

class Expression : public Node {
 public:
  Result<Value> evaluate(Run& run) const;  // counts work and nesting, remembers where an error comes from

 protected:
  virtual Result<Value> value(Run& run) const = 0;
};

class Statement : public Node {
 public:
  Result<Flow> execute(Run& run) const;

 protected:
  virtual Result<Flow> perform(Run& run) const = 0;
};

using Body = std::vector<const Statement*>;
Result<Flow> execute(Run& run, const Body& body);

struct Program {
  std::string source;
  Body body;

  Name name(std::string_view spelling);
  Name find_name(std::string_view spelling) const;  // null when the template has no such name
  Text* constant(std::string text);
  template <class T>
  T* make(size_t place) {
    auto node = std::make_unique<T>();
    T* result = node.get();
    result->place = uint32_t(place);
    nodes_.push_back(std::move(node));
    return result;
  }

 private:
  std::unordered_map<std::string, std::unique_ptr<std::string>> names_;
  std::deque<Text> constants_;
  std::vector<std::unique_ptr<Node>> nodes_;  // last, so that they go first: literals look at their constants then
};

// Expressions.

struct Literal : Expression {
  Value constant;
  Result<Value> value(Run&) const override { return constant; }
};

struct Variable : Expression {
  Name name = nullptr;
  Result<Value> value(Run& run) const override;
};

struct Sequence : Expression {  // [a, b] and (a, b)
  ListKind kind = ListKind::list;
  std::vector<const Expression*> items;
  Result<Value> value(Run& run) const override;
};

struct DictDisplay : Expression {  // {a: b}
  std::vector<std::pair<const Expression*, const Expression*>> items;
  Result<Value> value(Run& run) const override;
};

struct Attribute : Expression {  // of.name
  const Expression* of = nullptr;
  Name name = nullptr;
  Result<Value> value(Run& run) const override;
};

struct Subscript : Expression {  // of[key]
  const Expression *of = nullptr, *key = nullptr;
  Result<Value> value(Run& run) const override;
};

struct Slice : Expression {                                                            // of[start:stop:step]
  const Expression *of = nullptr, *start = nullptr, *stop = nullptr, *step = nullptr;  // null: left out
  Result<Value> value(Run& run) const override;
};

// What stands in the brackets of a call: a, *more, key=b, **others.
struct CallArguments {
  std::vector<const Expression*> positional;
  std::vector<std::pair<Name, const Expression*>> named;
  const Expression *rest = nullptr, *named_rest = nullptr;
  Result<Arguments> evaluate(Run& run) const;
};

struct CallExpression : Expression {
  const Expression* callee = nullptr;
  CallArguments arguments;
  Result<Value> value(Run& run) const override;
  Result<Value> call(Run& run, const Value* caller) const;
  const Attribute* method = nullptr;  // the callee, when it is an attribute
};

struct FilterExpression : Expression {  // of | name(arguments)
  const Expression* of = nullptr;       // null: what a block captured
  Name name = nullptr;
  const Function* function = nullptr;  // null: unknown, an error when it runs
  CallArguments arguments;
  Result<Value> value(Run& run) const override;
  Result<Value> apply(Run& run, const Value& subject) const;
};

struct TestExpression : Expression {  // of is name(arguments)
  const Expression* of = nullptr;
  Name name = nullptr;
  const Function* function = nullptr;
  CallArguments arguments;
  bool negated = false;
  Result<Value> value(Run& run) const override;
};

struct ArithmeticExpression : Expression {
  Arithmetic op = Arithmetic::add;
  const Expression *left = nullptr, *right = nullptr;
  Result<Value> value(Run& run) const override;
};

struct SignExpression : Expression {  // -a, +a
  bool minus = false;
  const Expression* of = nullptr;
  Result<Value> value(Run& run) const override;
};

struct NotExpression : Expression {
  const Expression* of = nullptr;
  Result<Value> value(Run& run) const override;
};

struct ConcatExpression : Expression {  // a ~ b ~ c
  std::vector<const Expression*> parts;
  Result<Value> value(Run& run) const override;
};

struct ComparisonExpression : Expression {  // a < b <= c
  const Expression* first = nullptr;
  std::vector<std::pair<Comparison, const Expression*>> rest;
  Result<Value> value(Run& run) const override;
};

struct LogicExpression : Expression {  // a and b and c; a or b or c
  bool is_and = false;
  std::vector<const Expression*> parts;
  Result<Value> value(Run& run) const override;
};

struct ConditionalExpression : Expression {                              // yes if condition else no
  const Expression *condition = nullptr, *yes = nullptr, *no = nullptr;  // no: null when left out
  Result<Value> value(Run& run) const override;
};

// Where a value is put: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  Name name = nullptr;       // null: a tuple
  Name attribute = nullptr;  // name.attribute
  std::vector<Target> items;
  Status assign(Run& run, const Value& value) const;
};

// Statements.

struct TextStatement : Statement {
  std::string_view text;  // in the source
  Result<Flow> perform(Run& run) const override;
};

struct OutputStatement : Statement {  // {{ expression }}
  const Expression* expression = nullptr;
  Result<Flow> perform(Run& run) const override;
};

struct IfStatement : Statement {
  std::vector<std::pair<const Expression*, Body>> branches;  // the condition of else: null
  Result<Flow> perform(Run& run) const override;
};

struct ForStatement : Statement {
  Target target;
  const Expression *sequence = nullptr, *condition = nullptr;
  bool recursive = false;
  Name loop = nullptr;  // the name "loop"
  Body body, otherwise;
  Result<Flow> perform(Run& run) const override;
};

struct LoopControl : Statement {  // break, continue
  Flow flow = Flow::leave;
  Result<Flow> perform(Run&) const override { return flow; }
};

struct SetStatement : Statement {  // set target = value
  Target target;
  const Expression* value = nullptr;
  Result<Flow> perform(Run& run) const override;
};

struct SetBlock : Statement {  // set target | filters ... endset
  Target target;
  std::vector<const FilterExpression*> filters;
  Body body;
  Result<Flow> perform(Run& run) const override;
};

struct FilterBlock : Statement {
  std::vector<const FilterExpression*> filters;
  Body body;
  Result<Flow> perform(Run& run) const override;
};

struct WithStatement : Statement {  // also what has only a scope of its own: generation blocks
  std::vector<std::pair<Target, const Expression*>> assignments;
  Body body;
  Result<Flow> perform(Run& run) const override;
};

struct AutoescapeStatement : Statement {
  const Expression* on = nullptr;
  Body body;
  Result<Flow> perform(Run& run) const override;
};

// What a macro, or the inside of a call block, is.
struct MacroCode {
  Name name = nullptr;                                         // null: of a call block
  std::vector<std::pair<Name, const Expression*>> parameters;  // with their defaults, or null
  Name caller = nullptr, varargs = nullptr, kwargs = nullptr;  // set where the body uses them and has no such parameter
  Body body;
};

struct MacroStatement : Statement {
  MacroCode code;
  Result<Flow> perform(Run& run) const override;
};

struct CallBlock : Statement {
  MacroCode code;
  const CallExpression* call = nullptr;
  Result<Flow> perform(Run& run) const override;
};

}  // namespace linnet::jinja

// The tokens of a template -> its Program, in the grammar of Jinja2 3.1.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/lexer.h"
#include "runtime/template/nodes.h"

namespace linnet::jinja {

class Parser {
 public:
  // The source in `program`, which the tree is put into.
  explicit Parser(Program& program) : program_(program), lexer_(program.source) {}
  Status parse();

 private:
  using Parsed = Result<const Expression*>;
  using Statements = Result<const Statement*>;
  using Ends = std::initializer_list<std::string_view>;

  // parser.cpp: tokens, statements.
  Status advance();
  Result<bool> skip_op(std::string_view symbol);  // whether it was there
  Result<bool> skip_name(std::string_view name);
  Status expect_op(std::string_view symbol);
  Status expect(Token::Type type, std::string_view what);
  Result<Name> expect_any_name(std::string_view what);
  Error error(const std::string& message) const { return error_at(token_.place, message); }
  Error error_at(size_t place, const std::string& message) const;
  Error expected(std::string_view what) const;

  Result<Body> parse_body(Ends ends);               // up to one of the words, which is the current token then
  Result<Body> parse_block_body(Ends ends);         // the same, from behind the head of a statement
  Result<Body> parse_to_end(std::string_view end);  // with the end word
  Statements parse_tag();
  Statements parse_statement(const Token& tag);
  Statements parse_for(size_t place);
  Statements parse_if(size_t place);
  Statements parse_set(size_t place);
  Statements parse_with(size_t place);
  Statements parse_macro(size_t place);
  Statements parse_call_block(size_t place);
  Statements parse_filter_block(size_t place);
  Statements parse_autoescape(size_t place);
  Statements parse_generation(size_t place);
  Statements parse_print(size_t place);
  Statements parse_loop_control(size_t place, Flow flow);
  Status parse_signature(MacroCode& code);
  Status parse_macro_body(MacroCode& code, std::string_view end);
  Result<Target> parse_target(bool attributes);
  Result<Target> parse_one_target(bool attributes);
  Result<std::vector<const FilterExpression*>> parse_filter_names();

  // parser_expressions.cpp
  Parsed parse_expression();  // with inline if
  Parsed parse_tuple(bool conditional, std::string_view end_word = {}, bool parentheses = false);
  Parsed parse_or();
  Parsed parse_and();
  Parsed parse_not();
  Parsed parse_comparison();
  Parsed parse_sum();
  Parsed parse_concat();
  Parsed parse_product();
  Parsed parse_power();
  Parsed parse_unary(bool with_filters);
  Parsed parse_primary();
  Parsed parse_name();
  Parsed parse_list();
  Parsed parse_dict();
  Parsed parse_postfix(const Expression* of);
  Parsed parse_filters(const Expression* of);
  Parsed parse_subscript(const Expression* of);
  Parsed parse_slice(const Expression* of, const Expression* start, size_t place);
  Parsed parse_call(const Expression* of);
  Result<FilterExpression*> parse_filter(const Expression* of);
  Parsed parse_test(const Expression* of);
  Result<CallArguments> parse_arguments();
  Status parse_argument(CallArguments& arguments);
  Result<std::string> parse_dotted_name();
  bool at_tuple_end(std::string_view end_word) const;

  // Sets the height of a finished node; an error when the tree is too high.
  Result<const Expression*> finish(Expression* node, std::initializer_list<const Node*> children);
  Result<const Expression*> finish(Expression* node, std::span<const Expression* const> children);
  Status raise(Node* node, const Node* child);
  Status raise(Node* node, const Body& body);
  Status raise(Node* node, const CallArguments& arguments);

  // Counts nesting while it lives.
  class Nested {
   public:
    explicit Nested(Parser& parser) : depth_(parser.depth_) { ++depth_; }
    ~Nested() { --depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    uint32_t& depth_;
  };
  Status check_depth() const;

  // Filters and tests that do not exist are an error, but inside an if only when they run, as in Jinja2.
  struct Unknown {
    size_t place;
    std::string what;
  };
  Status check_unknown(size_t from);

  // What the body of a macro uses besides its parameters.
  struct Uses {
    bool caller = false, varargs = false, kwargs = false;
  };

  Program& program_;
  Lexer lexer_;
  Token token_, ahead_;
  bool has_ahead_ = false;
  uint32_t depth_ = 0;
  uint32_t loops_ = 0;      // around what is parsed, inside the innermost macro
  uint32_t all_loops_ = 0;  // in all macros
  std::vector<Unknown> unknown_;
  std::vector<Uses> uses_;  // of the macros around what is parsed
};

}  // namespace linnet::jinja

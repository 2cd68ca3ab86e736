#include "runtime/template/parser.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gguf/base/utf8.h"
#include "runtime/template/functions.h"

namespace linnet::jinja {
namespace {

bool is_constant(std::string_view name) {
  return name == "true" || name == "false" || name == "none" || name == "True" || name == "False" || name == "None";
}

}  // namespace

Status Parser::parse() {
  LINNET_CHECK(advance());
  LINNET_TRY(program_.body, parse_body({}));
  return check_unknown(0);
}

Error Parser::error_at(size_t place, const std::string& message) const {
  return syntax_error(program_.source, place, message);
}

Error Parser::expected(std::string_view what) const {
  return error(fmt::format("expected {}, found {}", what, token_.describe()));
}

Status Parser::advance() {
  if (has_ahead_) {
    token_ = std::move(ahead_);
    has_ahead_ = false;
    return {};
  }
  LINNET_TRY(token_, lexer_.next());
  return {};
}

Result<bool> Parser::skip_op(std::string_view symbol) {
  if (!token_.is_op(symbol)) return false;
  LINNET_CHECK(advance());
  return true;
}

Result<bool> Parser::skip_name(std::string_view name) {
  if (!token_.is_name(name)) return false;
  LINNET_CHECK(advance());
  return true;
}

Status Parser::expect_op(std::string_view symbol) {
  LINNET_TRY(const bool there, skip_op(symbol));
  if (!there) return expected(quoted(symbol));
  return {};
}

Status Parser::expect(Token::Type type, std::string_view what) {
  if (token_.type != type) return expected(what);
  return advance();
}

Result<Name> Parser::expect_any_name(std::string_view what) {
  if (token_.type != Token::Type::name) return expected(what);
  const Name name = program_.name(token_.text);
  LINNET_CHECK(advance());
  return name;
}

Status Parser::check_depth() const {
  if (depth_ <= kMaxNesting) return {};
  Error deep = error(fmt::format("nested more than {} deep", kMaxNesting));
  deep.code = Code::too_large;
  return deep;
}

Status Parser::check_unknown(size_t from) {
  if (unknown_.size() > from) return error_at(unknown_[from].place, unknown_[from].what);
  return {};
}

Status Parser::raise(Node* node, const Node* child) {
  if (child == nullptr) return {};
  node->height = std::max(node->height, child->height + 1);
  if (node->height <= kMaxNesting) return {};
  Error deep = error_at(node->place, fmt::format("nested more than {} deep", kMaxNesting));
  deep.code = Code::too_large;
  return deep;
}

Status Parser::raise(Node* node, const Body& body) {
  for (const Statement* statement : body) LINNET_CHECK(raise(node, statement));
  return {};
}

Result<Body> Parser::parse_body(Ends ends) {
  Body body;
  while (token_.type != Token::Type::end) {
    const size_t place = token_.place;
    if (token_.type == Token::Type::data) {
      auto* text = program_.make<TextStatement>(place);
      text->text = token_.text;
      body.push_back(text);
      LINNET_CHECK(advance());
    } else if (token_.type == Token::Type::variable_begin) {
      LINNET_CHECK(advance());
      auto* output = program_.make<OutputStatement>(place);
      LINNET_TRY(output->expression, parse_tuple(true));
      LINNET_CHECK(raise(output, output->expression));
      LINNET_CHECK(expect(Token::Type::variable_end, "}}"));
      body.push_back(output);
    } else {
      LINNET_CHECK(advance());
      if (token_.type == Token::Type::name && std::find(ends.begin(), ends.end(), token_.text) != ends.end())
        return body;
      if (token_.type == Token::Type::name && token_.text.starts_with("end") && ends.size() > 0)
        return expected(fmt::format("one of: {}", fmt::join(ends, ", ")));
      LINNET_TRY(const Statement* statement, parse_tag());
      body.push_back(statement);
    }
  }
  if (ends.size() > 0) return expected(fmt::format("{{% {} %}}", fmt::join(ends, " %} or {% ")));
  return body;
}

Result<Body> Parser::parse_block_body(Ends ends) {
  LINNET_TRY(const bool colon, skip_op(":"));  // Python's habit, which Jinja2 allows
  static_cast<void>(colon);
  LINNET_CHECK(expect(Token::Type::block_end, "%}"));
  const Nested nested(*this);
  LINNET_CHECK(check_depth());
  return parse_body(ends);
}

Result<Body> Parser::parse_to_end(std::string_view end) {
  LINNET_TRY(Body body, parse_block_body({end}));
  LINNET_CHECK(advance());
  return body;
}

Parser::Statements Parser::parse_tag() {
  if (token_.type != Token::Type::name) return expected("the name of a statement");
  const Token tag = token_;
  LINNET_CHECK(advance());
  LINNET_TRY(const Statement* statement, parse_statement(tag));
  LINNET_CHECK(expect(Token::Type::block_end, "%}"));
  return statement;
}

Parser::Statements Parser::parse_statement(const Token& tag) {
  const std::string_view name = tag.text;
  if (name == "if") return parse_if(tag.place);
  if (name == "for") return parse_for(tag.place);
  if (name == "set") return parse_set(tag.place);
  if (name == "with") return parse_with(tag.place);
  if (name == "macro") return parse_macro(tag.place);
  if (name == "call") return parse_call_block(tag.place);
  if (name == "filter") return parse_filter_block(tag.place);
  if (name == "generation") return parse_generation(tag.place);
  if (name == "print") return parse_print(tag.place);
  if (name == "break") return parse_loop_control(tag.place, Flow::leave);
  if (name == "continue") return parse_loop_control(tag.place, Flow::again);
  if (name == "autoescape") return parse_autoescape(tag.place);
  for (const std::string_view other : {"include", "import", "from", "extends", "block"}) {
    if (name != other) continue;
    Error denied = error_at(tag.place, fmt::format("{{% {} %}} is not supported: a chat template is one text", name));
    denied.code = Code::unsupported;
    return denied;
  }
  return error_at(tag.place, fmt::format("there is no statement {}", quoted(name)));
}

Parser::Statements Parser::parse_if(size_t place) {
  auto* node = program_.make<IfStatement>(place);
  const size_t known = unknown_.size();
  for (bool more = true; more;) {
    LINNET_TRY(const Expression* condition, parse_tuple(false));
    LINNET_TRY(Body body, parse_block_body({"elif", "else", "endif"}));
    LINNET_CHECK(raise(node, condition));
    LINNET_CHECK(raise(node, body));
    node->branches.emplace_back(condition, std::move(body));
    LINNET_TRY(more, skip_name("elif"));
  }
  LINNET_TRY(const bool otherwise, skip_name("else"));
  if (otherwise) {
    LINNET_TRY(Body body, parse_to_end("endif"));
    LINNET_CHECK(raise(node, body));
    node->branches.emplace_back(nullptr, std::move(body));
  } else {
    LINNET_CHECK(advance());
  }
  unknown_.resize(known, {});
  return node;
}

Parser::Statements Parser::parse_for(size_t place) {
  auto* node = program_.make<ForStatement>(place);
  node->loop = program_.name("loop");
  ++all_loops_;  // also for the target: it must not be `loop`
  LINNET_TRY(node->target, parse_target(false));
  LINNET_TRY(const bool in, skip_name("in"));
  if (!in) return expected("in");
  LINNET_TRY(node->sequence, parse_tuple(false, "recursive"));
  const size_t known = unknown_.size();
  LINNET_TRY(const bool conditional, skip_name("if"));
  if (conditional) { LINNET_TRY(node->condition, parse_expression()); }
  LINNET_TRY(node->recursive, skip_name("recursive"));
  ++loops_;
  LINNET_TRY(node->body, parse_block_body({"endfor", "else"}));
  --loops_;
  LINNET_TRY(const bool otherwise, skip_name("else"));
  if (otherwise) {
    LINNET_TRY(node->otherwise, parse_to_end("endfor"));
  } else {
    LINNET_CHECK(advance());
  }
  --all_loops_;
  LINNET_CHECK(check_unknown(known));
  for (const Expression* part : {node->sequence, node->condition}) LINNET_CHECK(raise(node, part));
  for (const Body* body : {&node->body, &node->otherwise}) LINNET_CHECK(raise(node, *body));
  return node;
}

Parser::Statements Parser::parse_loop_control(size_t place, Flow flow) {
  if (loops_ == 0) {
    return error_at(place,
                    flow == Flow::leave ? "break stands outside of a loop" : "continue stands outside of a loop");
  }
  auto* node = program_.make<LoopControl>(place);
  node->flow = flow;
  return node;
}

Result<std::vector<const FilterExpression*>> Parser::parse_filter_names() {
  std::vector<const FilterExpression*> filters;
  for (bool more = true; more;) {
    LINNET_TRY(const FilterExpression* filter, parse_filter(nullptr));
    filters.push_back(filter);
    LINNET_TRY(more, skip_op("|"));
  }
  return filters;
}

Parser::Statements Parser::parse_set(size_t place) {
  LINNET_TRY(Target target, parse_target(true));
  LINNET_TRY(const bool assigned, skip_op("="));
  if (assigned) {
    auto* node = program_.make<SetStatement>(place);
    node->target = std::move(target);
    LINNET_TRY(node->value, parse_tuple(true));
    LINNET_CHECK(raise(node, node->value));
    return node;
  }
  auto* node = program_.make<SetBlock>(place);
  node->target = std::move(target);
  const size_t known = unknown_.size();
  LINNET_TRY(const bool filtered, skip_op("|"));
  if (filtered) { LINNET_TRY(node->filters, parse_filter_names()); }
  LINNET_TRY(node->body, parse_to_end("endset"));
  LINNET_CHECK(check_unknown(known));
  LINNET_CHECK(raise(node, node->body));
  for (const FilterExpression* filter : node->filters) LINNET_CHECK(raise(node, filter));
  return node;
}

Parser::Statements Parser::parse_filter_block(size_t place) {
  auto* node = program_.make<FilterBlock>(place);
  const size_t known = unknown_.size();
  LINNET_TRY(node->filters, parse_filter_names());
  LINNET_TRY(node->body, parse_to_end("endfilter"));
  LINNET_CHECK(check_unknown(known));
  LINNET_CHECK(raise(node, node->body));
  for (const FilterExpression* filter : node->filters) LINNET_CHECK(raise(node, filter));
  return node;
}

Parser::Statements Parser::parse_with(size_t place) {
  auto* node = program_.make<WithStatement>(place);
  const size_t known = unknown_.size();
  while (token_.type != Token::Type::block_end) {
    if (!node->assignments.empty()) LINNET_CHECK(expect_op(","));
    LINNET_TRY(Target target, parse_target(false));
    LINNET_CHECK(expect_op("="));
    LINNET_TRY(const Expression* value, parse_expression());
    LINNET_CHECK(raise(node, value));
    node->assignments.emplace_back(std::move(target), value);
  }
  LINNET_TRY(node->body, parse_to_end("endwith"));
  LINNET_CHECK(check_unknown(known));
  LINNET_CHECK(raise(node, node->body));
  return node;
}

Parser::Statements Parser::parse_autoescape(size_t place) {
  auto* node = program_.make<AutoescapeStatement>(place);
  LINNET_TRY(node->on, parse_expression());
  LINNET_TRY(node->body, parse_to_end("endautoescape"));
  LINNET_CHECK(raise(node, node->on));
  LINNET_CHECK(raise(node, node->body));
  return node;
}

// Marks what the model is to learn in training; for a prompt it is only a scope.
Parser::Statements Parser::parse_generation(size_t place) {
  auto* node = program_.make<WithStatement>(place);
  const uint32_t loops = std::exchange(loops_, 0);
  LINNET_TRY(node->body, parse_to_end("endgeneration"));
  loops_ = loops;
  LINNET_CHECK(raise(node, node->body));
  return node;
}

Parser::Statements Parser::parse_print(size_t place) {
  auto* node = program_.make<WithStatement>(place);
  while (token_.type != Token::Type::block_end) {
    if (!node->body.empty()) LINNET_CHECK(expect_op(","));
    auto* output = program_.make<OutputStatement>(token_.place);
    LINNET_TRY(output->expression, parse_expression());
    LINNET_CHECK(raise(output, output->expression));
    node->body.push_back(output);
  }
  LINNET_CHECK(raise(node, node->body));
  return node;
}

Status Parser::parse_signature(MacroCode& code) {
  LINNET_CHECK(expect_op("("));
  while (!token_.is_op(")")) {
    if (!code.parameters.empty()) LINNET_CHECK(expect_op(","));
    if (is_constant(token_.text)) return expected("a parameter's name");
    LINNET_TRY(const Name name, expect_any_name("a parameter's name"));
    for (const auto& known : code.parameters) {
      if (known.first == name) return error(fmt::format("the parameter {} stands twice", quoted(*name)));
    }
    const Expression* otherwise = nullptr;
    LINNET_TRY(const bool has_default, skip_op("="));
    if (has_default) {
      LINNET_TRY(otherwise, parse_expression());
    } else if (!code.parameters.empty() && code.parameters.back().second != nullptr) {
      return error("a parameter without default follows one with a default");
    }
    code.parameters.emplace_back(name, otherwise);
  }
  return advance();
}

Status Parser::parse_macro_body(MacroCode& code, std::string_view end) {
  const uint32_t loops = std::exchange(loops_, 0);
  const size_t known = unknown_.size();
  uses_.emplace_back();
  LINNET_TRY(code.body, parse_to_end(end));
  const Uses uses = uses_.back();
  uses_.pop_back();
  loops_ = loops;
  LINNET_CHECK(check_unknown(known));
  const auto special = [&](bool used, std::string_view word) -> Name {
    const bool is_parameter = std::any_of(code.parameters.begin(), code.parameters.end(),
                                          [&](const auto& parameter) { return *parameter.first == word; });
    return used && !is_parameter ? program_.name(word) : nullptr;
  };
  code.caller = special(uses.caller, "caller");
  code.varargs = special(uses.varargs, "varargs");
  code.kwargs = special(uses.kwargs, "kwargs");
  return {};
}

Parser::Statements Parser::parse_macro(size_t place) {
  auto* node = program_.make<MacroStatement>(place);
  if (is_constant(token_.text)) return expected("the macro's name");
  LINNET_TRY(node->code.name, expect_any_name("the macro's name"));
  LINNET_CHECK(parse_signature(node->code));
  LINNET_CHECK(parse_macro_body(node->code, "endmacro"));
  LINNET_CHECK(raise(node, node->code.body));
  for (const auto& [name, otherwise] : node->code.parameters) LINNET_CHECK(raise(node, otherwise));
  return node;
}

Parser::Statements Parser::parse_call_block(size_t place) {
  auto* node = program_.make<CallBlock>(place);
  if (token_.is_op("(")) LINNET_CHECK(parse_signature(node->code));
  const size_t call_place = token_.place;
  LINNET_TRY(const Expression* call, parse_expression());
  node->call = dynamic_cast<const CallExpression*>(call);
  if (node->call == nullptr) return error_at(call_place, "expected a call, as in {% call name() %}");
  LINNET_CHECK(parse_macro_body(node->code, "endcall"));
  LINNET_CHECK(raise(node, call));
  LINNET_CHECK(raise(node, node->code.body));
  for (const auto& [name, otherwise] : node->code.parameters) LINNET_CHECK(raise(node, otherwise));
  return node;
}

Result<Target> Parser::parse_one_target(bool attributes) {
  const Nested nested(*this);
  LINNET_CHECK(check_depth());
  if (token_.is_op("(")) {
    LINNET_CHECK(advance());
    LINNET_TRY(Target inner, parse_target(attributes));
    LINNET_CHECK(expect_op(")"));
    return inner;
  }
  if (is_constant(token_.text)) return expected("a name to set");
  const size_t place = token_.place;
  Target target;
  LINNET_TRY(target.name, expect_any_name("a name to set"));
  if (attributes && token_.is_op(".")) {
    LINNET_CHECK(advance());
    LINNET_TRY(target.attribute, expect_any_name("the name of an attribute"));
  } else if (all_loops_ > 0 && *target.name == "loop") {
    return error_at(place, "the variable loop cannot be set inside a loop");
  }
  return target;
}

// a   or   a, b   or   a, (b, c)
Result<Target> Parser::parse_target(bool attributes) {
  LINNET_TRY(Target first, parse_one_target(attributes));
  if (!token_.is_op(",")) return first;
  Target tuple;
  tuple.items.push_back(std::move(first));
  for (bool more = true; more;) {
    LINNET_CHECK(expect_op(","));
    if (at_tuple_end({})) break;
    LINNET_TRY(Target next, parse_one_target(attributes));
    tuple.items.push_back(std::move(next));
    more = token_.is_op(",");
  }
  return tuple;
}

}  // namespace linnet::jinja

#include <algorithm>

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/functions.h"
#include "runtime/template/parser.h"

namespace linnet::jinja {
namespace {

using Type = Token::Type;

// The operator that a token is, among those given by their symbols.
template <class Op>
struct Symbol {
  std::string_view text;
  Op op;
};

constexpr Symbol<Arithmetic> kSums[] = {{"+", Arithmetic::add}, {"-", Arithmetic::subtract}};
constexpr Symbol<Arithmetic> kProducts[] = {{"*", Arithmetic::multiply},
                                            {"/", Arithmetic::divide},
                                            {"//", Arithmetic::floor_divide},
                                            {"%", Arithmetic::modulo}};
constexpr Symbol<Arithmetic> kPowers[] = {{"**", Arithmetic::power}};
constexpr Symbol<Comparison> kComparisons[] = {{"==", Comparison::equal},  {"!=", Comparison::not_equal},
                                               {"<", Comparison::less},    {"<=", Comparison::less_equal},
                                               {">", Comparison::greater}, {">=", Comparison::greater_equal}};

template <class Op, size_t n>
const Symbol<Op>* symbol_of(const Symbol<Op> (&symbols)[n], const Token& token) {
  const auto found = std::find_if(symbols, symbols + n, [&](const auto& symbol) { return token.is_op(symbol.text); });
  return found == symbols + n ? nullptr : found;
}

}  // namespace

Status Parser::raise(Node* node, const CallArguments& arguments) {
  for (const Expression* argument : arguments.positional) LINNET_CHECK(raise(node, argument));
  for (const auto& [name, argument] : arguments.named) LINNET_CHECK(raise(node, argument));
  LINNET_CHECK(raise(node, arguments.rest));
  return raise(node, arguments.named_rest);
}

Parser::Parsed Parser::finish(Expression* node, std::initializer_list<const Node*> children) {
  for (const Node* child : children) LINNET_CHECK(raise(node, child));
  return node;
}

Parser::Parsed Parser::finish(Expression* node, std::span<const Expression* const> children) {
  for (const Node* child : children) LINNET_CHECK(raise(node, child));
  return node;
}

Parser::Parsed Parser::parse_expression() {
  const Nested nested(*this);
  LINNET_CHECK(check_depth());
  const size_t place = token_.place, known = unknown_.size();
  LINNET_TRY(const Expression* yes, parse_or());
  while (true) {
    LINNET_TRY(const bool conditional, skip_name("if"));
    if (!conditional) return yes;
    auto* node = program_.make<ConditionalExpression>(place);
    node->yes = yes;
    LINNET_TRY(node->condition, parse_or());
    LINNET_TRY(const bool otherwise, skip_name("else"));
    if (otherwise) { LINNET_TRY(node->no, parse_expression()); }
    unknown_.resize(known, {});
    LINNET_TRY(yes, finish(node, {node->yes, node->condition, node->no}));
  }
}

bool Parser::at_tuple_end(std::string_view end_word) const {
  return token_.type == Type::variable_end || token_.type == Type::block_end || token_.is_op(")") ||
         (!end_word.empty() && token_.is_name(end_word));
}

// One expression, or several with commas: a tuple.
Parser::Parsed Parser::parse_tuple(bool conditional, std::string_view end_word, bool parentheses) {
  const size_t place = token_.place;
  std::vector<const Expression*> items;
  bool is_tuple = false;
  while (!at_tuple_end(end_word)) {
    LINNET_TRY(const Expression* item, conditional ? parse_expression() : parse_or());
    items.push_back(item);
    if (!token_.is_op(",")) break;
    is_tuple = true;
    LINNET_CHECK(advance());
  }
  if (!is_tuple && items.size() == 1) return items[0];
  if (items.empty() && !parentheses) return expected("an expression");
  auto* node = program_.make<Sequence>(place);
  node->kind = ListKind::tuple;
  node->items = std::move(items);
  return finish(node, node->items);
}

Parser::Parsed Parser::parse_or() {
  const size_t place = token_.place;
  LINNET_TRY(const Expression* first, parse_and());
  if (!token_.is_name("or")) return first;
  auto* node = program_.make<LogicExpression>(place);
  node->parts.push_back(first);
  while (token_.is_name("or")) {
    LINNET_CHECK(advance());
    LINNET_TRY(const Expression* next, parse_and());
    node->parts.push_back(next);
  }
  return finish(node, node->parts);
}

Parser::Parsed Parser::parse_and() {
  const size_t place = token_.place;
  LINNET_TRY(const Expression* first, parse_not());
  if (!token_.is_name("and")) return first;
  auto* node = program_.make<LogicExpression>(place);
  node->is_and = true;
  node->parts.push_back(first);
  while (token_.is_name("and")) {
    LINNET_CHECK(advance());
    LINNET_TRY(const Expression* next, parse_not());
    node->parts.push_back(next);
  }
  return finish(node, node->parts);
}

Parser::Parsed Parser::parse_not() {
  if (!token_.is_name("not")) return parse_comparison();
  const Nested nested(*this);
  LINNET_CHECK(check_depth());
  auto* node = program_.make<NotExpression>(token_.place);
  LINNET_CHECK(advance());
  LINNET_TRY(node->of, parse_not());
  return finish(node, {node->of});
}

Parser::Parsed Parser::parse_comparison() {
  const size_t place = token_.place;
  LINNET_TRY(const Expression* first, parse_sum());
  std::vector<std::pair<Comparison, const Expression*>> rest;
  while (true) {
    Comparison op = Comparison::in;
    if (const auto* symbol = symbol_of(kComparisons, token_)) {
      op = symbol->op;
    } else if (token_.is_name("not")) {
      if (!has_ahead_) {
        LINNET_TRY(ahead_, lexer_.next());
        has_ahead_ = true;
      }
      if (!ahead_.is_name("in")) break;
      LINNET_CHECK(advance());
      op = Comparison::not_in;
    } else if (!token_.is_name("in")) {
      break;
    }
    LINNET_CHECK(advance());
    LINNET_TRY(const Expression* next, parse_sum());
    rest.emplace_back(op, next);
  }
  if (rest.empty()) return first;
  auto* node = program_.make<ComparisonExpression>(place);
  node->first = first;
  node->rest = std::move(rest);
  for (const auto& [op, part] : node->rest) LINNET_CHECK(raise(node, part));
  return finish(node, {first});
}

Parser::Parsed Parser::parse_sum() {
  LINNET_TRY(const Expression* left, parse_concat());
  while (const auto* symbol = symbol_of(kSums, token_)) {
    auto* node = program_.make<ArithmeticExpression>(token_.place);
    LINNET_CHECK(advance());
    node->op = symbol->op;
    node->left = left;
    LINNET_TRY(node->right, parse_concat());
    LINNET_TRY(left, finish(node, {node->left, node->right}));
  }
  return left;
}

Parser::Parsed Parser::parse_concat() {
  const size_t place = token_.place;
  LINNET_TRY(const Expression* first, parse_product());
  if (!token_.is_op("~")) return first;
  auto* node = program_.make<ConcatExpression>(place);
  node->parts.push_back(first);
  while (token_.is_op("~")) {
    LINNET_CHECK(advance());
    LINNET_TRY(const Expression* next, parse_product());
    node->parts.push_back(next);
  }
  return finish(node, node->parts);
}

Parser::Parsed Parser::parse_product() {
  LINNET_TRY(const Expression* left, parse_power());
  while (const auto* symbol = symbol_of(kProducts, token_)) {
    auto* node = program_.make<ArithmeticExpression>(token_.place);
    LINNET_CHECK(advance());
    node->op = symbol->op;
    node->left = left;
    LINNET_TRY(node->right, parse_power());
    LINNET_TRY(left, finish(node, {node->left, node->right}));
  }
  return left;
}

// Jinja2 groups a ** b ** c from the left.
Parser::Parsed Parser::parse_power() {
  LINNET_TRY(const Expression* left, parse_unary(true));
  while (const auto* symbol = symbol_of(kPowers, token_)) {
    auto* node = program_.make<ArithmeticExpression>(token_.place);
    LINNET_CHECK(advance());
    node->op = symbol->op;
    node->left = left;
    LINNET_TRY(node->right, parse_unary(true));
    LINNET_TRY(left, finish(node, {node->left, node->right}));
  }
  return left;
}

// A filter after a sign takes the signed number: -1|abs is 1.
Parser::Parsed Parser::parse_unary(bool with_filters) {
  const Expression* node = nullptr;
  if (token_.is_op("-") || token_.is_op("+")) {
    const Nested nested(*this);
    LINNET_CHECK(check_depth());
    auto* sign = program_.make<SignExpression>(token_.place);
    sign->minus = token_.is_op("-");
    LINNET_CHECK(advance());
    LINNET_TRY(sign->of, parse_unary(false));
    LINNET_TRY(node, finish(sign, {sign->of}));
  } else {
    LINNET_TRY(node, parse_primary());
  }
  LINNET_TRY(node, parse_postfix(node));
  return with_filters ? parse_filters(node) : Parsed(node);
}

Parser::Parsed Parser::parse_primary() {
  const size_t place = token_.place;
  switch (token_.type) {
    case Type::name:
      return parse_name();
    case Type::string: {
      std::string text;
      while (token_.type == Type::string) {  // "a" "b" is "ab"
        text += token_.string;
        LINNET_CHECK(advance());
      }
      auto* node = program_.make<Literal>(place);
      node->constant = Value(program_.constant(std::move(text)));
      return node;
    }
    case Type::integer:
    case Type::number: {
      auto* node = program_.make<Literal>(place);
      node->constant = token_.type == Type::integer ? Value::integer(token_.integer) : Value::number(token_.number);
      LINNET_CHECK(advance());
      return node;
    }
    default:
      break;
  }
  if (token_.is_op("[")) return parse_list();
  if (token_.is_op("{")) return parse_dict();
  if (!token_.is_op("(")) return expected("an expression");
  LINNET_CHECK(advance());
  LINNET_TRY(const Expression* inner, parse_tuple(true, {}, true));
  LINNET_CHECK(expect_op(")"));
  return inner;
}

Parser::Parsed Parser::parse_name() {
  const Token token = token_;
  LINNET_CHECK(advance());
  const bool yes = token.is_name("true") || token.is_name("True"),
             no = token.is_name("false") || token.is_name("False");
  if (yes || no || token.is_name("none") || token.is_name("None")) {
    auto* node = program_.make<Literal>(token.place);
    node->constant = yes || no ? Value::boolean(yes) : Value::none();
    return node;
  }
  for (Uses& uses : uses_) {
    uses.caller = uses.caller || token.is_name("caller");
    uses.varargs = uses.varargs || token.is_name("varargs");
    uses.kwargs = uses.kwargs || token.is_name("kwargs");
  }
  auto* node = program_.make<Variable>(token.place);
  node->name = program_.name(token.text);
  return node;
}

Parser::Parsed Parser::parse_list() {
  auto* node = program_.make<Sequence>(token_.place);
  LINNET_CHECK(advance());
  while (!token_.is_op("]")) {
    if (!node->items.empty()) LINNET_CHECK(expect_op(","));
    if (token_.is_op("]")) break;
    LINNET_TRY(const Expression* item, parse_expression());
    node->items.push_back(item);
  }
  LINNET_CHECK(advance());
  return finish(node, node->items);
}

Parser::Parsed Parser::parse_dict() {
  auto* node = program_.make<DictDisplay>(token_.place);
  LINNET_CHECK(advance());
  while (!token_.is_op("}")) {
    if (!node->items.empty()) LINNET_CHECK(expect_op(","));
    if (token_.is_op("}")) break;
    LINNET_TRY(const Expression* key, parse_expression());
    LINNET_CHECK(expect_op(":"));
    LINNET_TRY(const Expression* value, parse_expression());
    LINNET_CHECK(raise(node, key));
    LINNET_CHECK(raise(node, value));
    node->items.emplace_back(key, value);
  }
  LINNET_CHECK(advance());
  return node;
}

Parser::Parsed Parser::parse_postfix(const Expression* of) {
  while (true) {
    if (token_.is_op(".") || token_.is_op("[")) {
      LINNET_TRY(of, parse_subscript(of));
    } else if (token_.is_op("(")) {
      LINNET_TRY(of, parse_call(of));
    } else {
      return of;
    }
  }
}

Parser::Parsed Parser::parse_filters(const Expression* of) {
  while (true) {
    if (token_.is_op("|")) {
      LINNET_CHECK(advance());
      LINNET_TRY(of, parse_filter(of));
    } else if (token_.is_name("is")) {
      LINNET_TRY(of, parse_test(of));
    } else if (token_.is_op("(")) {
      LINNET_TRY(of, parse_call(of));
    } else {
      return of;
    }
  }
}

Parser::Parsed Parser::parse_subscript(const Expression* of) {
  const size_t place = token_.place;
  const bool dot = token_.is_op(".");
  LINNET_CHECK(advance());
  if (dot && token_.type == Type::name) {
    auto* node = program_.make<Attribute>(place);
    node->of = of;
    node->name = program_.name(token_.text);
    LINNET_CHECK(advance());
    return finish(node, {of});
  }
  auto* node = program_.make<Subscript>(place);
  node->of = of;
  if (dot) {
    if (token_.type != Type::integer) return expected("a name or number");
    auto* number = program_.make<Literal>(token_.place);
    number->constant = Value::integer(token_.integer);
    node->key = number;
    LINNET_CHECK(advance());
    return finish(node, {of});
  }
  if (token_.is_op(":")) return parse_slice(of, nullptr, place);
  std::vector<const Expression*> keys;
  for (bool more = true; more;) {
    LINNET_TRY(const Expression* key, parse_expression());
    if (keys.empty() && token_.is_op(":")) return parse_slice(of, key, place);
    keys.push_back(key);
    LINNET_TRY(more, skip_op(","));
  }
  LINNET_CHECK(expect_op("]"));
  node->key = keys[0];
  if (keys.size() > 1) {
    auto* tuple = program_.make<Sequence>(place);
    tuple->kind = ListKind::tuple;
    tuple->items = std::move(keys);
    LINNET_TRY(node->key, finish(tuple, tuple->items));
  }
  return finish(node, {of, node->key});
}

// From the first colon to the closing bracket.
Parser::Parsed Parser::parse_slice(const Expression* of, const Expression* start, size_t place) {
  auto* node = program_.make<Slice>(place);
  node->of = of;
  node->start = start;
  LINNET_CHECK(advance());
  if (!token_.is_op(":") && !token_.is_op("]")) { LINNET_TRY(node->stop, parse_expression()); }
  LINNET_TRY(const bool has_step, skip_op(":"));
  if (has_step && !token_.is_op("]")) { LINNET_TRY(node->step, parse_expression()); }
  LINNET_CHECK(expect_op("]"));
  return finish(node, {of, node->start, node->stop, node->step});
}

Status Parser::parse_argument(CallArguments& arguments) {
  const bool has_rest = arguments.rest != nullptr || arguments.named_rest != nullptr;
  const Error misplaced = error("an argument by position stands after one by name, * or **");
  if (token_.is_op("*")) {
    if (has_rest) return misplaced;
    LINNET_CHECK(advance());
    LINNET_TRY(arguments.rest, parse_expression());
    return {};
  }
  if (token_.is_op("**")) {
    if (arguments.named_rest != nullptr) return misplaced;
    LINNET_CHECK(advance());
    LINNET_TRY(arguments.named_rest, parse_expression());
    return {};
  }
  if (token_.type == Type::name && !has_ahead_) {
    LINNET_TRY(ahead_, lexer_.next());
    has_ahead_ = true;
  }
  if (token_.type == Type::name && ahead_.is_op("=")) {
    const Name name = program_.name(token_.text);
    LINNET_CHECK(advance());
    LINNET_CHECK(advance());
    if (arguments.named_rest != nullptr) return misplaced;
    LINNET_TRY(const Expression* value, parse_expression());
    for (const auto& known : arguments.named) {
      if (known.first == name) return error(fmt::format("the argument {} is given twice", quoted(*name)));
    }
    arguments.named.emplace_back(name, value);
    return {};
  }
  if (has_rest || !arguments.named.empty()) return misplaced;
  LINNET_TRY(const Expression* value, parse_expression());
  arguments.positional.push_back(value);
  return {};
}

Result<CallArguments> Parser::parse_arguments() {
  CallArguments arguments;
  LINNET_CHECK(expect_op("("));
  while (!token_.is_op(")")) {
    LINNET_CHECK(parse_argument(arguments));
    if (!token_.is_op(")")) LINNET_CHECK(expect_op(","));
  }
  LINNET_CHECK(advance());
  return arguments;
}

Parser::Parsed Parser::parse_call(const Expression* of) {
  auto* node = program_.make<CallExpression>(token_.place);
  node->callee = of;
  node->method = dynamic_cast<const Attribute*>(of);
  LINNET_TRY(node->arguments, parse_arguments());
  LINNET_CHECK(raise(node, node->arguments));
  return finish(node, {of});
}

Result<std::string> Parser::parse_dotted_name() {
  std::string name;
  for (bool more = true; more;) {
    if (token_.type != Type::name) return expected("the name of a filter or test");
    name += token_.text;
    LINNET_CHECK(advance());
    LINNET_TRY(more, skip_op("."));
    if (more) name += '.';
  }
  return name;
}

// From the name on.
Result<FilterExpression*> Parser::parse_filter(const Expression* of) {
  auto* node = program_.make<FilterExpression>(token_.place);
  LINNET_TRY(const std::string name, parse_dotted_name());
  node->of = of;
  node->name = program_.name(name);
  node->function = find_filter(name);
  if (node->function == nullptr) unknown_.push_back({node->place, fmt::format("there is no filter {}", quoted(name))});
  if (token_.is_op("(")) {
    LINNET_TRY(node->arguments, parse_arguments());
    LINNET_CHECK(raise(node, node->arguments));
  }
  LINNET_CHECK(raise(node, of));
  return node;
}

Parser::Parsed Parser::parse_test(const Expression* of) {
  auto* node = program_.make<TestExpression>(token_.place);
  LINNET_CHECK(advance());
  LINNET_TRY(node->negated, skip_name("not"));
  const size_t place = token_.place;
  LINNET_TRY(const std::string name, parse_dotted_name());
  node->of = of;
  node->name = program_.name(name);
  node->function = find_test(name);
  if (node->function == nullptr) unknown_.push_back({place, fmt::format("there is no test {}", quoted(name))});
  const bool begins_value = token_.type == Type::name || token_.type == Type::string || token_.type == Type::integer ||
                            token_.type == Type::number || token_.is_op("[") || token_.is_op("{");
  if (token_.is_op("(")) {
    LINNET_TRY(node->arguments, parse_arguments());
    LINNET_CHECK(raise(node, node->arguments));
  } else if (begins_value && !token_.is_name("else") && !token_.is_name("or") && !token_.is_name("and")) {
    if (token_.is_name("is")) return error("tests with is cannot follow each other; use parentheses");
    const Nested nested(*this);
    LINNET_CHECK(check_depth());
    LINNET_TRY(const Expression* argument, parse_primary());
    LINNET_TRY(argument, parse_postfix(argument));
    node->arguments.positional.push_back(argument);
    LINNET_CHECK(raise(node, argument));
  }
  return finish(node, {of});
}

}  // namespace linnet::jinja

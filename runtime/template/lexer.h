// The text of a template -> tokens, as Jinja2 3.1 cuts it with trim_blocks and lstrip_blocks on:
//
//   {{ expression }}   {% statement %}   {# comment #}   {% raw %} text {% endraw %}
//
// A '-' inside a delimiter takes away all white space on that side. Else one newline after %} and #} goes, and so does
// the white space between the start of a line and {% or {#, unless the tag begins with {%+ or ends with +%}.
// Line ends are \n by now (template.cpp), and one at the end of the template is gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"

namespace linnet::jinja {

struct Token {
  enum class Type : uint8_t {
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    number,
    op,
    end
  };
  Type type = Type::end;
  uint32_t place = 0;     // byte offset in the source
  std::string_view text;  // as in the source; data: what is left of it
  std::string string;     // of a string literal: what it means
  int64_t integer = 0;
  double number = 0;

  bool is_op(std::string_view symbol) const { return type == Type::op && text == symbol; }
  bool is_name(std::string_view name) const { return type == Type::name && text == name; }
  // For messages: what was found.
  std::string describe() const;
};

// "line 3, column 7: message", invalid_argument.
Error syntax_error(std::string_view source, size_t place, const std::string& message);
// The line that a place is on, from 1.
size_t line_of(std::string_view source, size_t place);

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}
  Result<Token> next();  // Type::end for ever after the last

 private:
  enum class Mode : uint8_t { data, block, variable };

  Status scan_data();
  Status scan_comment(size_t begin);
  Result<bool> scan_raw(size_t begin);  // whether it is one
  Result<Token> scan_code();
  Result<Token> scan_number();
  Result<Token> scan_string();
  Result<Token> scan_operator();
  bool scan_end(Token& token);
  void add_data(size_t from, size_t to, char sign, bool variable);
  size_t skip_space(size_t at) const;
  Token token(Token::Type type, size_t from);  // up to at_
  bool matches(size_t at, std::string_view text) const { return source_.substr(at, text.size()) == text; }

  std::string_view source_;
  size_t at_ = 0;
  Mode mode_ = Mode::data;
  bool line_start_ = true;       // what was read last ended with a line
  std::vector<char> open_;       // brackets whose closing one is awaited
  std::vector<size_t> open_at_;  // and where they are
  size_t tag_ = 0;               // where the tag that is being read begins
  std::deque<Token> ready_;
};

}  // namespace linnet::jinja

#include "tools/markup.h"

#include "gguf/base/json.h"

namespace linnet {

std::string markup_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string markup_token(std::string_view bytes) { return markup_escaped(json_escape(bytes)); }

}  // namespace linnet

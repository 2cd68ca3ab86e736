#include "runtime/template/print.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/template/object.h"
#include "runtime/template/operators.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

// Writes one value after the other into one text, as repr() does. Recursion is bounded by kMaxValueDepth.
class Writer {
 public:
  explicit Writer(Heap& heap) : heap_(heap) {}

  Status write(const Value& value) {
    LINNET_CHECK(heap_.room(out_.size()));
    LINNET_CHECK(heap_.spend(kVisit));
    switch (value.kind()) {
      case Kind::undefined:
        out_ += "Undefined";
        break;
      case Kind::none:
        out_ += "None";
        break;
      case Kind::boolean:
        out_ += value.boolean() ? "True" : "False";
        break;
      case Kind::integer:
        out_ += fmt::format("{}", value.integer());
        break;
      case Kind::number:
        out_ += number_text(value.number());
        break;
      case Kind::text:
        LINNET_CHECK(heap_.spend(value.text().size()));
        out_ += value.markup() ? "Markup(" + quote(value.text()) + ")" : quote(value.text());
        break;
      case Kind::list:
        return write_list(*value.list());
      case Kind::dict:
        return write_dict(*value.dict());
      case Kind::object: {
        LINNET_TRY(const std::string text, value.object()->print(heap_));
        out_ += text;
        break;
      }
    }
    return {};
  }

  std::string take() { return std::move(out_); }

 private:
  // Remembers what is being written, for lists that hold themselves.
  Result<bool> enter(const void* container) {
    if (std::find(open_.begin(), open_.end(), container) != open_.end()) return false;
    if (open_.size() > size_t(kMaxValueDepth)) return too_deep();
    open_.push_back(container);
    return true;
  }

  Status write_list(const List& list) {
    if (list.kind == ListKind::iterator) {
      out_ += "<generator object>";
      return {};
    }
    if (list.kind == ListKind::range) {
      const int64_t stop = list.start + int64_t(list.items.size()) * list.step;
      out_ += list.step == 1 ? fmt::format("range({}, {})", list.start, stop)
                             : fmt::format("range({}, {}, {})", list.start, stop, list.step);
      return {};
    }
    const bool tuple = list.kind == ListKind::tuple, view = list.kind >= ListKind::keys;
    LINNET_TRY(const bool entered, enter(&list));
    if (!entered) {
      out_ += tuple ? "(...)" : view ? "..." : "[...]";
      return {};
    }
    if (view) out_ += fmt::format("{}(", type_name(const_cast<List*>(&list)));
    out_ += tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      LINNET_CHECK(write(list.items[i]));
    }
    if (tuple && list.items.size() == 1) out_ += ',';
    out_ += tuple ? ')' : ']';
    if (view) out_ += ')';
    open_.pop_back();
    return {};
  }

  Status write_dict(const Dict& dict) {
    LINNET_TRY(const bool entered, enter(&dict));
    if (!entered) {
      out_ += "{...}";
      return {};
    }
    out_ += '{';
    const char* comma = "";
    for (const Dict::Entry& entry : dict.entries()) {
      out_ += comma;
      LINNET_CHECK(write(entry.key));
      out_ += ": ";
      LINNET_CHECK(write(entry.value));
      comma = ", ";
    }
    out_ += '}';
    open_.pop_back();
    return {};
  }

  Heap& heap_;
  std::string out_;
  std::vector<const void*> open_;
};

class JsonText {
 public:
  JsonText(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  Status write(const Value& value) {
    LINNET_CHECK(heap_.room(out_.size()));
    LINNET_CHECK(heap_.spend(kVisit));
    switch (value.kind()) {
      case Kind::text:
        return write_string(value.text());
      case Kind::list:
        if (value.list()->kind <= ListKind::tuple) return write_list(*value.list());
        break;
      case Kind::dict:
        return write_dict(*value.dict());
      case Kind::undefined:
      case Kind::object:
        break;
      default:
        out_ += scalar(value);
        return {};
    }
    if (value.is_undefined()) { return fail(Code::invalid_argument, "tojson: {}", missing_sentence(value)); }
    return fail(Code::invalid_argument, "tojson: a {} cannot be written as JSON", type_name(value));
  }

  std::string take() { return std::move(out_); }

 private:
  static std::string scalar(const Value& value) {
    switch (value.kind()) {
      case Kind::boolean:
        return value.boolean() ? "true" : "false";
      case Kind::integer:
        return fmt::format("{}", value.integer());
      case Kind::number:
        if (std::isnan(value.number())) return "NaN";
        if (std::isinf(value.number())) return value.number() < 0 ? "-Infinity" : "Infinity";
        return number_text(value.number());
      default:
        return "null";
    }
  }

  Status write_string(std::string_view text) {
    LINNET_CHECK(heap_.spend(text.size()));
    out_ += '"';
    for_each_character(text, [&](uint32_t c, std::string_view bytes) {
      constexpr std::string_view kNamed = "\"\\\n\r\t\f\b", kNames = "\"\\nrtfb";
      if (const size_t named = c < 0x80 ? kNamed.find(char(c)) : kNamed.npos; named != kNamed.npos) {
        out_ += '\\';
        out_ += kNames[named];
      } else if (c < 0x20 || (style_.ascii && c >= 0x7f && c < 0x10000)) {
        out_ += fmt::format("\\u{:04x}", c);
      } else if (style_.ascii && c >= 0x10000) {
        out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
      } else {
        out_ += bytes;
      }
    });
    out_ += '"';
    return {};
  }

  Status write_key(const Value& key) {
    if (key.is_text()) return write_string(key.text());
    if (!key.is_number() && !key.is_none()) {
      return fail(Code::invalid_argument, "tojson: a {} cannot be the key of a JSON object", type_name(key));
    }
    out_ += '"' + scalar(key) + '"';
    return {};
  }

  void line() {
    if (!style_.indent) return;
    out_ += '\n';
    for (int i = 0; i < depth_; ++i) out_ += *style_.indent;
  }

  Status enter() {
    if (++depth_ > kMaxValueDepth) return too_deep();
    return {};
  }

  // Between `open` and `close`: each(i) writes item i.
  template <class Each>
  Status write_items(char open, size_t count, char close, Each each) {
    out_ += open;
    LINNET_CHECK(enter());
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_ += style_.comma;
      line();
      LINNET_CHECK(each(i));
    }
    --depth_;
    if (count > 0) line();
    out_ += close;
    return {};
  }

  Status write_list(const List& list) {
    return write_items('[', list.items.size(), ']', [&](size_t i) { return write(list.items[i]); });
  }

  Status write_dict(const Dict& dict) {
    std::vector<size_t> order(dict.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (style_.sort_keys) {
      LINNET_CHECK(stable_sort(
          order, [&](size_t a, size_t b) { return less(heap_, dict.entries()[a].key, dict.entries()[b].key); }));
    }
    return write_items('{', dict.size(), '}', [&](size_t i) -> Status {
      const Dict::Entry& entry = dict.entries()[order[i]];
      LINNET_CHECK(write_key(entry.key));
      out_ += style_.colon;
      return write(entry.value);
    });
  }

  Heap& heap_;
  const JsonStyle& style_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

Result<std::string> to_text(Heap& heap, const Value& value) {
  if (value.is_text()) return std::string(value.text());
  if (value.is_undefined()) return std::string();
  return repr(heap, value);
}

Result<std::string> repr(Heap& heap, const Value& value) {
  Writer writer(heap);
  LINNET_CHECK(writer.write(value));
  return writer.take();
}

Result<std::string> to_json(Heap& heap, const Value& value, const JsonStyle& style) {
  JsonText json(heap, style);
  LINNET_CHECK(json.write(value));
  return json.take();
}

}  // namespace linnet::jinja

#include "runtime/template/json_value.h"

namespace linnet::jinja {

// Recursion is at most kMaxJsonDepth deep.
Result<Value> value_of(Heap& heap, const Json& json) {
  LINNET_CHECK(heap.room());
  if (json.is_object()) {
    Dict* dict = heap.dict();
    for (const auto& [key, member] : json.members()) {
      LINNET_TRY(Value value, value_of(heap, member));
      dict->set_text(heap.text(key), std::move(value));
    }
    return Value(dict);
  }
  if (json.is_array()) {
    List* list = heap.list(ListKind::list);
    for (const Json& element : json.elements()) {
      LINNET_TRY(Value value, value_of(heap, element));
      list->append(std::move(value));
    }
    return Value(list);
  }
  if (json.is_string()) return heap.text(std::string(*json.string()));
  if (json.is_boolean()) return Value::boolean(*json.boolean());
  if (json.is_integer()) {
    LINNET_TRY(const int64_t integer, json.integer());
    return Value::integer(integer);
  }
  if (json.is_number()) return Value::number(*json.number());
  return Value::none();
}

}  // namespace linnet::jinja

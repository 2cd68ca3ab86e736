// Methods of lists, tuples and dicts.
#include <algorithm>

#include "runtime/template/functions.h"
#include "runtime/template/operators.h"
#include "runtime/template/run.h"

namespace linnet::jinja {
namespace {

List& list_of(Call& call) { return *call.subject.list(); }
Dict& dict_of(Call& call) { return *call.subject.dict(); }

Result<Value> append(Call& call) {
  list_of(call).append(call[0]);
  return Value::none();
}

Result<Value> extend(Call& call) {
  LINNET_TRY(const std::vector<Value> more, elements(call.heap(), call[0]));
  for (const Value& value : more) list_of(call).append(value);
  return Value::none();
}

Result<Value> insert(Call& call) {
  LINNET_TRY(int64_t at, call.integer(0));
  std::vector<Value>& items = list_of(call).items;
  const int64_t size = int64_t(items.size());
  if (at < 0) at += size;
  call.heap().charge(sizeof(Value));
  LINNET_CHECK(call.heap().spend(items.size() * sizeof(Value)));
  items.insert(items.begin() + std::clamp<int64_t>(at, 0, size), call[1]);
  return Value::none();
}

Result<Value> pop(Call& call) {
  LINNET_TRY(int64_t at, call.integer(0, -1));
  std::vector<Value>& items = list_of(call).items;
  if (at < 0) at += int64_t(items.size());
  if (at < 0 || at >= int64_t(items.size())) return call.problem("the list has no such item");
  LINNET_CHECK(call.heap().spend((items.size() - size_t(at)) * sizeof(Value)));
  const Value value = items[size_t(at)];
  items.erase(items.begin() + at);
  return value;
}

// The first item at or after `start` that equals the first argument, or the size.
Result<size_t> position(Call& call, size_t start) {
  for (size_t i = start; i < list_of(call).items.size(); ++i) {
    LINNET_TRY(const bool same, equal(call.heap(), list_of(call).items[i], call[0]));
    if (same) return i;
  }
  return list_of(call).items.size();
}

Result<Value> index(Call& call) {
  const int64_t size = int64_t(list_of(call).items.size());
  LINNET_TRY(int64_t start, call.integer(1, 0));
  LINNET_TRY(int64_t end, call.integer(2, size));
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end += size;
  LINNET_TRY(const size_t at, position(call, size_t(start)));
  if (int64_t(at) >= std::min(end, size)) return call.problem("the value is not in the list");
  return Value::integer(int64_t(at));
}

Result<Value> count(Call& call) {
  int64_t times = 0;
  for (const Value& item : list_of(call).items) {
    LINNET_TRY(const bool same, equal(call.heap(), item, call[0]));
    times += same;
  }
  return Value::integer(times);
}

Result<Value> remove(Call& call) {
  LINNET_TRY(const size_t at, position(call, 0));
  std::vector<Value>& items = list_of(call).items;
  if (at == items.size()) return call.problem("the value is not in the list");
  LINNET_CHECK(call.heap().spend((items.size() - at) * sizeof(Value)));
  items.erase(items.begin() + int64_t(at));
  return Value::none();
}

Result<Value> reverse(Call& call) {
  LINNET_CHECK(call.heap().spend(list_of(call).items.size() * sizeof(Value)));
  std::reverse(list_of(call).items.begin(), list_of(call).items.end());
  return Value::none();
}

Result<Value> sort(Call& call) {
  if (call.given_not_none(0)) return call.problem("key= is not supported; use the filter sort with attribute=");
  std::vector<Value> items = list_of(call).items;
  if (call.flag(1)) std::reverse(items.begin(), items.end());
  LINNET_CHECK(stable_sort(items, [&call](const Value& a, const Value& b) { return less(call.heap(), a, b); }));
  if (call.flag(1)) std::reverse(items.begin(), items.end());
  list_of(call).items = std::move(items);
  return Value::none();
}

Result<Value> copy_list(Call& call) {
  LINNET_TRY(std::vector<Value> items, elements(call.heap(), call.subject));
  return call.heap().list_value(std::move(items));
}

Result<Value> clear_list(Call& call) {
  list_of(call).items.clear();
  return Value::none();
}

template <ListKind kind>
Result<Value> view(Call& call) {
  const Dict& dict = dict_of(call);
  LINNET_CHECK(call.heap().room(dict.size() * (sizeof(List) + sizeof(Value))));
  LINNET_CHECK(call.heap().spend(dict.size() * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(dict.size());
  for (const auto& [hash, key, value] : dict.entries()) {
    items.push_back(kind == ListKind::keys     ? key
                    : kind == ListKind::values ? value
                                               : Value(call.heap().list(ListKind::tuple, {key, value})));
  }
  return Value(call.heap().list(kind, std::move(items)));
}

Result<Value> get(Call& call) {
  LINNET_TRY(const Value* found, dict_of(call).find(call[0]));
  if (found != nullptr) return *found;
  return call.given(1) ? call[1] : Value::none();
}

Result<Value> pop_key(Call& call) {
  LINNET_TRY(const Value* found, dict_of(call).find(call[0]));
  if (found == nullptr && !call.given(1)) return call.problem("the dict has no such key");
  if (found == nullptr) return call[1];
  const Value value = *found;
  LINNET_TRY(const bool erased, dict_of(call).erase(call[0]));
  static_cast<void>(erased);
  return value;
}

Result<Value> pop_item(Call& call) {
  if (dict_of(call).size() == 0) return call.problem("the dict is empty");
  const Dict::Entry last = dict_of(call).entries().back();
  LINNET_TRY(const bool erased, dict_of(call).erase(last.key));
  static_cast<void>(erased);
  return Value(call.heap().list(ListKind::tuple, {last.key, last.value}));
}

Result<Value> set_default(Call& call) {
  LINNET_TRY(const Value* found, dict_of(call).find(call[0]));
  if (found != nullptr) return *found;
  const Value value = call.given(1) ? call[1] : Value::none();
  LINNET_CHECK(dict_of(call).set(call[0], value));
  return value;
}

Result<Value> update(Call& call) {
  LINNET_CHECK(update_dict(call, dict_of(call), call[0]));
  return Value::none();
}

Result<Value> copy_dict(Call& call) {
  Dict* copy = call.heap().dict();
  LINNET_CHECK(update_dict(call, *copy, call.subject));
  return Value(copy);
}

Result<Value> clear_dict(Call& call) {
  dict_of(call).clear();
  return Value::none();
}

Result<Value> from_keys(Call& call) {
  LINNET_TRY(const std::vector<Value> keys, elements(call.heap(), call[0]));
  Dict* dict = call.heap().dict();
  for (const Value& key : keys) LINNET_CHECK(dict->set(key, call.given(1) ? call[1] : Value::none()));
  return Value(dict);
}

const Function kListRows[] = {
    {"append", "object /", append},
    {"clear", "", clear_list},
    {"copy", "", copy_list},
    {"count", "value /", count},
    {"extend", "iterable /", extend},
    {"index", "value start? stop? /", index},
    {"insert", "index object /", insert},
    {"pop", "index? /", pop},
    {"remove", "value /", remove},
    {"reverse", "", reverse},
    {"sort", "key? reverse?", sort},
};

const Function kTupleRows[] = {
    {"count", "value /", count},
    {"index", "value start? stop? /", index},
};

const Function kDictRows[] = {
    {"clear", "", clear_dict},
    {"copy", "", copy_dict},
    {"fromkeys", "iterable value? /", from_keys},
    {"get", "key default? /", get},
    {"items", "", view<ListKind::items>},
    {"keys", "", view<ListKind::keys>},
    {"pop", "key default? /", pop_key},
    {"popitem", "", pop_item},
    {"setdefault", "key default? /", set_default},
    {"update", "other? / **", update},
    {"values", "", view<ListKind::values>},
};

}  // namespace

std::span<const Function> list_methods() { return kListRows; }
std::span<const Function> tuple_methods() { return kTupleRows; }
std::span<const Function> dict_methods() { return kDictRows; }

Status update_dict(Call& call, Dict& dict, const Value& from) {
  if (from.is_dict()) {
    // A copy, since a dict may be updated with itself.
    const std::vector<Dict::Entry> entries(from.dict()->entries().begin(), from.dict()->entries().end());
    for (const Dict::Entry& entry : entries) LINNET_CHECK(dict.set(entry.key, entry.value));
  } else if (!from.is_absent()) {
    LINNET_TRY(const std::vector<Value> pairs, elements(call.heap(), from));
    for (const Value& pair : pairs) {
      LINNET_TRY(const std::vector<Value> parts, elements(call.heap(), pair));
      if (parts.size() != 2) return call.problem("expected a dict, or pairs of a key and a value");
      LINNET_CHECK(dict.set(parts[0], parts[1]));
    }
  }
  for (const auto& [name, value] : call.rest.named) dict.set_text(call.heap().text(std::string(name)), value);
  return {};
}

}  // namespace linnet::jinja

// Filters that go through the items of a value, or pick among values.
#include <algorithm>

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/functions.h"
#include "runtime/template/json_value.h"
#include "runtime/template/loop.h"
#include "runtime/template/operators.h"
#include "runtime/template/print.h"
#include "runtime/template/run.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

Value iterator(Call& call, std::vector<Value> items) { return call.heap().list(ListKind::iterator, std::move(items)); }

Value ignoring_case(Call& call, const Value& value, bool case_sensitive) {
  return value.is_text() && !case_sensitive ? call.heap().text(to_lower(value.text())) : value;
}

// An item with what it is sorted or compared by.
struct Keyed {
  Value key, item;
};

Result<std::vector<Keyed>> keyed(Call& call, const Value& attribute, bool case_sensitive) {
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  std::vector<Keyed> result;
  for (const Value& item : items) {
    LINNET_CHECK(call.heap().room());
    LINNET_TRY(const Value key, call.run.path(item, attribute));
    result.push_back({ignoring_case(call, key, case_sensitive), item});
  }
  return result;
}

Status sort_keyed(Call& call, std::vector<Keyed>& items, bool reverse) {
  // Reversed before and after, items that are equal keep their order.
  if (reverse) std::reverse(items.begin(), items.end());
  LINNET_CHECK(stable_sort(items, [&call](const Keyed& a, const Keyed& b) { return less(call.heap(), a.key, b.key); }));
  if (reverse) std::reverse(items.begin(), items.end());
  return {};
}

std::vector<Value> without_keys(const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  for (const Keyed& k : keyed) items.push_back(k.item);
  return items;
}

Result<Value> default_filter(Call& call) {
  const bool replace = call.subject.is_undefined() || (call.flag(1) && !truthy(call.subject));
  if (!replace) return call.subject;
  return call.given(0) ? call[0] : call.heap().text("");
}

Result<Value> length(Call& call) {
  const Value& value = call.subject;
  if (value.is_text()) return Value::integer(int64_t(characters(value.text())));
  if (value.is_dict()) return Value::integer(int64_t(value.dict()->size()));
  if (value.is_list() && value.list()->has_length()) return Value::integer(int64_t(value.list()->items.size()));
  if (value.is_undefined()) return Value::integer(0);
  if (auto* loop = value.is_object() ? dynamic_cast<Loop*>(value.object()) : nullptr)
    return loop->attribute(call.run, "length");
  return call.problem(fmt::format("a {} has no length", type_name(value)));
}

Result<Value> first(Call& call) {
  static const std::string kEmpty = "there is no first item";
  if (call.subject.is_list()) {
    List& list = *call.subject.list();
    if (list.next >= list.items.size()) return Value(Missing::hint, &kEmpty);
    const Value item = list.items[list.next];
    if (list.kind == ListKind::iterator) ++list.next;
    return item;
  }
  if (call.subject.is_text() && !call.subject.text().empty())
    return call.heap().text(std::string(call.subject.text().substr(0, utf8_decode(call.subject.text(), 0).bytes)));
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  return items.empty() ? Value(Missing::hint, &kEmpty) : items.front();
}

Result<Value> last(Call& call) {
  static const std::string kEmpty = "there is no last item";
  if (call.subject.is_list() && !call.subject.list()->has_length())
    return call.problem("an iterator has no last item; put list before it");
  if (call.subject.is_text() && !call.subject.text().empty()) return item_at(call.heap(), call.subject, -1);
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  return items.empty() ? Value(Missing::hint, &kEmpty) : items.back();
}

Result<Value> list_filter(Call& call) {
  LINNET_TRY(std::vector<Value> items, elements(call.heap(), call.subject));
  return call.heap().list_value(std::move(items));
}

Result<Value> reverse(Call& call) {
  if (call.subject.is_text()) return slice(call.heap(), call.subject, Value::none(), Value::none(), Value::integer(-1));
  const bool used_up = call.subject.is_list() && !call.subject.list()->has_length();
  LINNET_TRY(std::vector<Value> items, elements(call.heap(), call.subject));
  std::reverse(items.begin(), items.end());
  return used_up ? call.heap().list_value(std::move(items)) : iterator(call, std::move(items));
}

Result<Value> join(Call& call) {
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  LINNET_TRY(const std::string between, to_text(call.heap(), call[0]));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    LINNET_TRY(const Value item, call.run.path(items[i], call[1]));
    LINNET_TRY(const std::string text, to_text(call.heap(), item));
    if (i > 0) out += between;
    out += text;
    LINNET_CHECK(call.heap().room(out.size()));
  }
  LINNET_CHECK(call.heap().spend(out.size()));
  return call.heap().text(std::move(out));
}

Result<Value> items_filter(Call& call) {
  std::vector<Value> pairs;
  if (call.subject.is_undefined()) return iterator(call, {});
  if (!call.subject.is_dict()) return call.problem(wrong_type("a dict", call.subject).message);
  for (const Dict::Entry& entry : call.subject.dict()->entries()) {
    LINNET_CHECK(call.heap().room());
    pairs.push_back(call.heap().list(ListKind::tuple, {entry.key, entry.value}));
  }
  return iterator(call, std::move(pairs));
}

Result<Value> dictsort(Call& call) {
  if (!call.subject.is_dict()) return call.problem(wrong_type("a dict", call.subject).message);
  const std::string_view by = call[1].is_text() ? call[1].text() : call.given(1) ? "" : "key";
  if (by != "key" && by != "value") return call.problem("a dict is sorted by \"key\" or \"value\"");
  std::vector<Keyed> pairs;
  for (const auto& [hash, key, value] : call.subject.dict()->entries()) {
    LINNET_CHECK(call.heap().room());
    pairs.push_back({ignoring_case(call, by == "key" ? key : value, call.flag(0)),
                     call.heap().list(ListKind::tuple, {key, value})});
  }
  LINNET_CHECK(sort_keyed(call, pairs, call.flag(2)));
  return call.heap().list_value(without_keys(pairs));
}

// attribute="a,b": by a, and where that is equal by b.
Result<Value> sort(Call& call) {
  std::vector<Value> attributes = {call[2]};
  if (call[2].is_text()) {
    attributes.clear();
    for (const std::string_view name : split(call[2].text(), ",", -1))
      attributes.push_back(call.heap().text(std::string(name)));
  }
  LINNET_TRY(const std::vector<Value> all, elements(call.heap(), call.subject));
  std::vector<Keyed> sorted;
  for (const Value& item : all) {
    List* key = call.heap().list(ListKind::list);
    for (const Value& attribute : attributes) {
      LINNET_CHECK(call.heap().room());
      LINNET_TRY(const Value part, call.run.path(item, attribute));
      key->append(ignoring_case(call, part, call.flag(1)));
    }
    sorted.push_back({key, item});
  }
  LINNET_CHECK(sort_keyed(call, sorted, call.flag(0)));
  return call.heap().list_value(without_keys(sorted));
}

Result<Value> unique(Call& call) {
  LINNET_TRY(const std::vector<Keyed> all, keyed(call, call[1], call.flag(0)));
  Dict* seen = call.heap().dict();
  std::vector<Value> items;
  for (const auto& [key, item] : all) {
    LINNET_TRY(const Value* known, seen->find(key));
    if (known != nullptr) continue;
    LINNET_CHECK(seen->set(key, Value::none()));
    items.push_back(item);
  }
  return iterator(call, std::move(items));
}

Result<Value> extreme(Call& call, Comparison better) {
  static const std::string kEmpty = "there is no smallest or largest item";
  LINNET_TRY(const std::vector<Keyed> all, keyed(call, call[1], call.flag(0)));
  if (all.empty()) return Value(Missing::hint, &kEmpty);
  const Keyed* best = &all[0];
  for (size_t i = 1; i < all.size(); ++i) {
    LINNET_TRY(const bool is_better, compare(call.heap(), better, all[i].key, best->key));
    if (is_better) best = &all[i];
  }
  return best->item;
}

Result<Value> min_filter(Call& call) { return extreme(call, Comparison::less); }
Result<Value> max_filter(Call& call) { return extreme(call, Comparison::greater); }

Result<Value> groupby(Call& call) {
  LINNET_TRY(const std::vector<Value> all, elements(call.heap(), call.subject));
  const auto looked_up = [&call](const Value& item) -> Result<Value> {
    LINNET_TRY(Value key, call.run.path(item, call[0]));
    if (key.is_undefined() && call.given_not_none(1)) return call[1];
    return key;
  };
  std::vector<Keyed> sorted;
  for (const Value& item : all) {
    LINNET_CHECK(call.heap().room());
    LINNET_TRY(const Value key, looked_up(item));
    sorted.push_back({ignoring_case(call, key, call.flag(2)), item});
  }
  LINNET_CHECK(sort_keyed(call, sorted, false));
  std::vector<Value> groups;
  List* members = nullptr;
  for (size_t i = 0; i < sorted.size(); ++i) {
    bool same = false;
    if (i > 0) { LINNET_TRY(same, equal(call.heap(), sorted[i - 1].key, sorted[i].key)); }
    if (!same) {
      members = call.heap().list(ListKind::list);
      LINNET_TRY(const Value key, looked_up(sorted[i].item));
      List* group = call.heap().list(ListKind::tuple, {key, members});
      group->is_group = true;
      groups.push_back(group);
    }
    members->append(sorted[i].item);
  }
  return call.heap().list_value(std::move(groups));
}

Result<Value> sum(Call& call) {
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  Value total = call.given(1) ? call[1] : Value::integer(0);
  if (total.is_text()) return call.problem("texts are not summed; use join");
  for (const Value& item : items) {
    LINNET_TRY(const Value part, call.run.path(item, call[0]));
    LINNET_TRY(total, arithmetic(call.heap(), Arithmetic::add, total, part));
    LINNET_CHECK(call.heap().room());
  }
  return total;
}

Result<Value> batch(Call& call) {
  LINNET_TRY(const int64_t size, call.integer(0));
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  std::vector<Value> batches;
  List* part = call.heap().list(ListKind::list);
  for (const Value& item : items) {
    LINNET_CHECK(call.heap().room());
    if (int64_t(part->items.size()) == size) {
      batches.push_back(part);
      part = call.heap().list(ListKind::list);
    }
    part->append(item);
  }
  if (part->items.empty()) return iterator(call, std::move(batches));
  if (call.given_not_none(1) && int64_t(part->items.size()) < size) {
    const uint64_t missing = uint64_t(size) - part->items.size();
    LINNET_CHECK(call.heap().room(missing > (1u << 30) ? UINT64_MAX : missing * sizeof(Value)));
    for (uint64_t i = 0; i < missing; ++i) part->append(call[1]);
  }
  batches.push_back(part);
  return iterator(call, std::move(batches));
}

// `count` lists of about equal length, the longer ones first.
Result<Value> slice_filter(Call& call) {
  LINNET_TRY(const int64_t count, call.integer(0));
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  if (count == 0) return call.problem("division into 0 parts");
  std::vector<Value> slices;
  const int64_t size = int64_t(items.size());
  for (int64_t i = 0, at = 0; i < count; ++i) {
    LINNET_CHECK(call.heap().room());
    const bool longer = i < size % count;
    const int64_t end = at + size / count + longer;
    List* part = call.heap().list(ListKind::list, {items.begin() + at, items.begin() + end});
    if (call.given_not_none(1) && !longer) part->append(call[1]);
    slices.push_back(part);
    at = end;
  }
  return iterator(call, std::move(slices));
}

Result<Value> map_attribute(Call& call) {
  Value attribute, otherwise = Value::none();
  for (const auto& [name, value] : call.rest.named) {
    if (name == "attribute") {
      attribute = value;
    } else if (name == "default") {
      otherwise = value;
    } else {
      return call.problem(fmt::format("takes no argument named {}", name));
    }
  }
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  std::vector<Value> mapped;
  for (const Value& item : items) {
    LINNET_CHECK(call.run.step());
    LINNET_TRY(Value part, call.run.path(item, attribute));
    if (part.is_undefined() && !otherwise.is_none()) part = otherwise;
    mapped.push_back(std::move(part));
  }
  return iterator(call, std::move(mapped));
}

// The first argument by position, as the name of a filter or test; the others are its arguments.
Result<const Function*> named_function(Call& call, const Function* (*find)(std::string_view), Arguments& arguments) {
  const Value name = arguments.positional.front();
  arguments.positional.erase(arguments.positional.begin());
  const Function* found = name.is_text() ? find(name.text()) : nullptr;
  if (found != nullptr) return found;
  LINNET_TRY(const std::string shown, repr(call.heap(), name));
  return call.problem(fmt::format("there is no filter or test {}", shown));
}

Result<Value> map_filter(Call& call) {
  if (!truthy(call.subject)) return iterator(call, {});
  const bool by_attribute = std::any_of(call.rest.named.begin(), call.rest.named.end(),
                                        [](const auto& argument) { return argument.first == "attribute"; });
  if (call.rest.positional.empty() && by_attribute) return map_attribute(call);
  if (call.rest.positional.empty()) return call.problem("expected the name of a filter, or attribute=");
  Arguments arguments = call.rest;
  LINNET_TRY(const Function* filter, named_function(call, find_filter, arguments));
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  std::vector<Value> mapped;
  for (const Value& item : items) {
    LINNET_CHECK(call.heap().room());
    LINNET_TRY(Value result, invoke(call.run, *filter, item, arguments));
    mapped.push_back(std::move(result));
  }
  return iterator(call, std::move(mapped));
}

// The items whose truth, or that of an attribute, or the outcome of a test on it, is `wanted`.
Result<Value> chosen(Call& call, bool wanted, bool by_attribute) {
  if (!truthy(call.subject)) return iterator(call, {});
  Arguments arguments = call.rest;
  Value attribute = Value::none();
  if (by_attribute) {
    if (arguments.positional.empty()) return call.problem("expected the name of an attribute");
    attribute = arguments.positional.front();
    arguments.positional.erase(arguments.positional.begin());
  }
  const Function* test = nullptr;
  if (!arguments.positional.empty()) { LINNET_TRY(test, named_function(call, find_test, arguments)); }
  LINNET_TRY(const std::vector<Value> items, elements(call.heap(), call.subject));
  std::vector<Value> kept;
  for (const Value& item : items) {
    LINNET_CHECK(call.run.step());
    LINNET_TRY(Value fact, call.run.path(item, attribute));
    if (test != nullptr) { LINNET_TRY(fact, invoke(call.run, *test, fact, arguments)); }
    if (truthy(fact) == wanted) kept.push_back(item);
  }
  return iterator(call, std::move(kept));
}

Result<Value> select(Call& call) { return chosen(call, true, false); }
Result<Value> reject(Call& call) { return chosen(call, false, false); }
Result<Value> selectattr(Call& call) { return chosen(call, true, true); }
Result<Value> rejectattr(Call& call) { return chosen(call, false, true); }

// Not Jinja2's, but templates made for other engines use it on the arguments of tool calls.
Result<Value> from_json(Call& call) {
  if (!call.subject.is_text()) return call.problem(wrong_type("text", call.subject).message);
  const auto json = parse_json(call.subject.text());
  if (!json) return call.problem(json.error().message);
  return value_of(call.heap(), *json);
}

// As value.name, but never an item of that name.
Result<Value> attr(Call& call) {
  LINNET_TRY(const std::string_view name, call.text(0));
  const std::string* kept = call.run.keep_name(name);
  const bool has_no_attributes = call.subject.is_dict() && find_method(call.subject, name) == nullptr;
  if (has_no_attributes) return Value(Missing::attribute, kept);
  return call.run.attribute(call.subject, *kept);
}

const Function kRows[] = {
    {"attr", "name", attr},
    {"batch", "linecount fill_with?", batch},
    {"count", "", length},
    {"d", "default_value? boolean?", default_filter},
    {"default", "default_value? boolean?", default_filter},
    {"dictsort", "case_sensitive? by? reverse?", dictsort},
    {"first", "", first},
    {"from_json", "", from_json},
    {"groupby", "attribute default? case_sensitive?", groupby},
    {"items", "", items_filter},
    {"join", "d? attribute?", join},
    {"last", "", last},
    {"length", "", length},
    {"list", "", list_filter},
    {"map", "* **", map_filter},
    {"max", "case_sensitive? attribute?", max_filter},
    {"min", "case_sensitive? attribute?", min_filter},
    {"reject", "* **", reject},
    {"rejectattr", "* **", rejectattr},
    {"reverse", "", reverse},
    {"select", "* **", select},
    {"selectattr", "* **", selectattr},
    {"slice", "slices fill_with?", slice_filter},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"sum", "attribute? start?", sum},
    {"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

std::span<const Function> sequence_filters() { return kRows; }

}  // namespace linnet::jinja

#include "runtime/template/value.h"

#include <cmath>

#include "gguf/base/hash.h"
#include "gguf/base/utf8.h"
#include "runtime/template/object.h"

namespace linnet::jinja {
namespace {

constexpr size_t kFewEntries = 8;  // a dict of so few is searched from the start

uint64_t mix(uint64_t h) {
  h ^= h >> 31;
  h *= 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

uint64_t hash_text(std::string_view text) { return xxh64(std::as_bytes(std::span(text.data(), text.size()))); }

// 1, 1.0 and True are one key.
uint64_t hash_number(double d) {
  if (d == std::floor(d) && std::abs(d) < 0x1p63) return mix(uint64_t(int64_t(d)));
  return mix(std::bit_cast<uint64_t>(d));
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
  if (a.is_integer() == b.is_integer()) return a.number() == b.number();
  const double d = a.is_integer() ? b.number() : a.number();
  const int64_t i = a.is_integer() ? a.integer() : b.integer();
  return d == std::floor(d) && d >= -0x1p63 && d < 0x1p63 && int64_t(d) == i;
}

// keys() and items() compare as sets.
bool is_set(const List& list) { return list.kind == ListKind::keys || list.kind == ListKind::items; }

Result<bool> equal_lists(Heap& heap, const List& a, const List& b, int depth) {
  if (&a == &b) return true;
  if (is_set(a) && is_set(b)) {
    if (a.items.size() != b.items.size()) return false;
    for (const Value& x : a.items) {
      bool found = false;
      for (size_t i = 0; i < b.items.size() && !found; ++i) {
        LINNET_TRY(found, equal(heap, x, b.items[i], depth + 1));
      }
      if (!found) return false;
    }
    return true;
  }
  if (a.kind != b.kind || a.kind > ListKind::range || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    LINNET_TRY(const bool same, equal(heap, a.items[i], b.items[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Heap& heap, Dict& a, Dict& b, int depth) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  for (const Dict::Entry& entry : a.entries()) {
    LINNET_TRY(const Value* other, b.find(entry.key));
    if (other == nullptr) return false;
    LINNET_TRY(const bool same, equal(heap, entry.value, *other, depth + 1));
    if (!same) return false;
  }
  return true;
}

}  // namespace

Heap::Heap(const Limits& limits) : limits_(limits) {}
Heap::~Heap() = default;

Value Heap::text(std::string bytes, bool markup) {
  auto* made = new Text{std::move(bytes), markup, this, 0};
  charge(sizeof(Text) + made->bytes.size());
  return Value(made);
}

void Value::free_text() {
  Text* text = text_object();
  text->heap->release(sizeof(Text) + text->bytes.size());
  delete text;
}

List* Heap::list(ListKind kind, std::vector<Value> items) {
  charge(sizeof(List) + items.size() * sizeof(Value));
  lists_.push_back(std::make_unique<List>(*this, kind, std::move(items)));
  return lists_.back().get();
}

List* Heap::list(ListKind kind) { return list(kind, {}); }

Value Heap::list_value(std::vector<Value> items) { return list(ListKind::list, std::move(items)); }

Dict* Heap::dict() {
  charge(sizeof(Dict));
  dicts_.push_back(std::make_unique<Dict>(*this));
  return dicts_.back().get();
}

void Heap::keep(std::unique_ptr<Object> object, uint64_t bytes) {
  charge(bytes);
  objects_.push_back(std::move(object));
}

Status Heap::room(uint64_t more) const {
  if (memory_ <= limits_.memory && more <= limits_.memory - memory_) return {};
  return fail(Code::too_large, "the values of the template take more than {} bytes; make them smaller", limits_.memory);
}

Error Heap::exhausted() const {
  return fail(Code::too_large, "the template does more work than the limit of {} bytes looked at; is there a loop?",
              limits_.work);
}

void List::append(Value value) {
  heap.charge(sizeof(Value));
  items.push_back(std::move(value));
}

Result<Value*> Dict::find(const Value& key) {
  LINNET_TRY(const uint64_t hash, hash_of(heap_, key));
  LINNET_TRY(const size_t at, position(key, hash));
  return at < size() ? &entries_[at].value : nullptr;
}

Value* Dict::find(std::string_view key) {
  const size_t at = position(key, hash_text(key));
  return at < size() ? &entries_[at].value : nullptr;
}

Status Dict::set(const Value& key, Value value) {
  LINNET_TRY(const uint64_t hash, hash_of(heap_, key));
  LINNET_TRY(const size_t at, position(key, hash));
  if (at < size()) {
    entries_[at].value = std::move(value);
  } else {
    add(hash, key, std::move(value));
  }
  return heap_.room();
}

void Dict::set_text(Value key, Value value) {
  const uint64_t hash = hash_text(key.text());
  const size_t at = position(key.text(), hash);
  if (at < size()) {
    entries_[at].value = std::move(value);
  } else {
    add(hash, std::move(key), std::move(value));
  }
}

Result<bool> Dict::erase(const Value& key) {
  LINNET_TRY(const uint64_t hash, hash_of(heap_, key));
  LINNET_TRY(const size_t at, position(key, hash));
  if (at == size()) return false;
  LINNET_CHECK(heap_.spend(size() * sizeof(Entry)));
  entries_.erase(entries_.begin() + int64_t(at));
  rebuild();
  return true;
}

void Dict::clear() {
  entries_.clear();
  slots_.clear();
}

template <class Same>
size_t Dict::probe(uint64_t hash, Same same) const {
  if (slots_.empty()) {
    for (size_t i = 0; i < size(); ++i) {
      if (entries_[i].hash == hash && same(entries_[i].key)) return i;
    }
    return size();
  }
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const size_t i = slots_[slot] - 1;
    if (entries_[i].hash == hash && same(entries_[i].key)) return i;
  }
  return size();
}

Result<size_t> Dict::position(const Value& key, uint64_t hash) {
  Status problem;
  const size_t at = probe(hash, [&](const Value& other) {
    const auto same = equal(heap_, key, other);
    if (!same) problem = same.error();
    return !same || *same;
  });
  if (!problem) return problem.error();
  return at;
}

size_t Dict::position(std::string_view key, uint64_t hash) {
  return probe(hash, [&](const Value& other) { return other.is_text() && other.text() == key; });
}

void Dict::add(uint64_t hash, Value key, Value value) {
  heap_.charge(sizeof(Entry) + 2 * sizeof(uint32_t));
  entries_.push_back({hash, std::move(key), std::move(value)});
  if (size() > kFewEntries && slots_.size() < 2 * size()) {
    rebuild();
  } else if (!slots_.empty()) {
    index(size() - 1);
  }
}

void Dict::index(size_t entry) {
  const size_t mask = slots_.size() - 1;
  size_t slot = entries_[entry].hash & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = uint32_t(entry) + 1;
}

void Dict::rebuild() {
  slots_.clear();
  if (size() <= kFewEntries) return;
  slots_.resize(std::bit_ceil(4 * size()));
  for (size_t i = 0; i < size(); ++i) index(i);
}

Result<bool> equal(Heap& heap, const Value& a, const Value& b, int depth) {
  if (depth > kMaxValueDepth) return too_deep();
  LINNET_CHECK(heap.spend(kVisit));
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::text:
      LINNET_CHECK(heap.spend(std::min(a.text().size(), b.text().size())));
      return a.text() == b.text();
    case Kind::list:
      return equal_lists(heap, *a.list(), *b.list(), depth);
    case Kind::dict:
      return equal_dicts(heap, *a.dict(), *b.dict(), depth);
    default:
      return a.object() == b.object();
  }
}

Result<uint64_t> hash_of(Heap& heap, const Value& value, int depth) {
  if (depth > kMaxValueDepth) return too_deep();
  LINNET_CHECK(heap.spend(kVisit));
  switch (value.kind()) {
    case Kind::undefined:
      return uint64_t(1);
    case Kind::none:
      return uint64_t(2);
    case Kind::boolean:
    case Kind::integer:
      return mix(uint64_t(value.integer()));
    case Kind::number:
      return hash_number(value.number());
    case Kind::text:
      LINNET_CHECK(heap.spend(value.text().size()));
      return hash_text(value.text());
    case Kind::object:
      return mix(reinterpret_cast<uintptr_t>(value.object()));
    default:
      break;
  }
  if (!value.is_list() || (value.list()->kind != ListKind::tuple && value.list()->kind != ListKind::range)) {
    return fail(Code::invalid_argument, "a {} cannot be the key of a dict", type_name(value));
  }
  uint64_t hash = 3;
  for (const Value& item : value.list()->items) {
    LINNET_TRY(const uint64_t h, hash_of(heap, item, depth + 1));
    hash = mix(hash ^ h);
  }
  return hash;
}

Error too_deep() {
  return fail(Code::too_large, "lists and dicts are inside each other more than {} deep; is one inside itself?",
              kMaxValueDepth);
}

std::string_view type_name(const Value& value) {
  static constexpr std::string_view names[] = {"undefined value", "None", "bool", "int", "float", "str", "list", "dict",
                                               "object"};
  static constexpr std::string_view lists[] = {"list",      "tuple",       "range",     "iterator",
                                               "dict_keys", "dict_values", "dict_items"};
  if (value.is_list()) return lists[size_t(value.list()->kind)];
  if (value.is_object()) return value.object()->type_name();
  return names[size_t(value.kind())];
}

std::string missing_sentence(const Value& value) {
  const std::string name = value.missing_name() != nullptr ? quoted(*value.missing_name()) : std::string();
  switch (value.missing()) {
    case Missing::name:
      return name + " is undefined";
    case Missing::attribute:
      return "the value has no attribute " + name;
    case Missing::parameter:
      return "parameter " + name + " was not provided";
    case Missing::hint:
      return *value.missing_name();
    case Missing::internal:
      return "access to " + name + " is not allowed in a template";
    case Missing::item:
    case Missing::argument:
      break;
  }
  return value.missing_name() != nullptr ? "the value has no item " + name : "the value has no such item";
}

Result<Value> Object::attribute(Run&, std::string_view) { return Value::absent(); }

Result<Value> Object::call(Run&, const Arguments&) {
  return fail(Code::invalid_argument, "a {} cannot be called", type_name());
}

}  // namespace linnet::jinja

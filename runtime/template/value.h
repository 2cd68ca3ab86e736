// The values of a template: Python's, as far as templates see them. Copying a value copies a reference, as in Python:
// two names may share a list. Values of one rendering live in its Heap and must not outlive it.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/heap.h"

namespace linnet::jinja {

enum class Kind : uint8_t { undefined, none, boolean, integer, number, text, list, dict, object };

// Why a value is undefined: what an error about it says.
enum class Missing : uint8_t { name, attribute, item, parameter, hint, internal, argument };

struct Text {
  std::string bytes;     // valid UTF-8
  bool markup = false;   // Python's Markup: counts as escaped HTML
  Heap* heap = nullptr;  // null: a constant of the template, not counted
  uint32_t uses = 0;
};

class Value {
 public:
  Value() : Value(Missing::item, nullptr) {}
  // Undefined; `name` (or a whole hint) must outlive the value.
  Value(Missing why, const std::string* name) : Value(Kind::undefined, name) { missing_ = why; }
  explicit Value(Text* text) : Value(Kind::text, text) { retain(); }
  Value(List* list) : Value(Kind::list, list) {}          // NOLINT: implicit on purpose
  Value(Dict* dict) : Value(Kind::dict, dict) {}          // NOLINT
  Value(Object* object) : Value(Kind::object, object) {}  // NOLINT
  static Value none() { return Value(Kind::none, uint64_t(0)); }
  static Value boolean(bool b) { return Value(Kind::boolean, uint64_t(b)); }
  static Value integer(int64_t i) { return Value(Kind::integer, uint64_t(i)); }
  static Value number(double d) { return Value(Kind::number, std::bit_cast<uint64_t>(d)); }
  // What stands for an argument that was not given.
  static Value absent() { return Value(Missing::argument, nullptr); }

  Value(const Value& other) : kind_(other.kind_), missing_(other.missing_), bits_(other.bits_) { retain(); }
  Value(Value&& other) noexcept : kind_(other.kind_), missing_(other.missing_), bits_(other.bits_) {
    other.kind_ = Kind::none;
  }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(missing_, other.missing_);
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~Value() {
    if (kind_ == Kind::text && text_object()->heap != nullptr && --text_object()->uses == 0) free_text();
  }

  Kind kind() const { return kind_; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_boolean() const { return kind_ == Kind::boolean; }
  bool is_integer() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }  // bool is an int, as in Python
  bool is_number() const { return is_integer() || kind_ == Kind::number; }
  bool is_text() const { return kind_ == Kind::text; }
  bool is_list() const { return kind_ == Kind::list; }  // any List: see its kind
  bool is_dict() const { return kind_ == Kind::dict; }
  bool is_object() const { return kind_ == Kind::object; }
  bool is_absent() const { return kind_ == Kind::undefined && missing_ == Missing::argument; }

  // The following take a value of that kind.
  bool boolean() const { return bits_ != 0; }
  int64_t integer() const { return int64_t(bits_); }
  double number() const { return kind_ == Kind::number ? std::bit_cast<double>(bits_) : double(integer()); }
  std::string_view text() const { return text_object()->bytes; }
  bool markup() const { return is_text() && text_object()->markup; }
  Text* text_object() const { return pointer<Text>(); }
  List* list() const { return pointer<List>(); }
  Dict* dict() const { return pointer<Dict>(); }
  Object* object() const { return pointer<Object>(); }
  Missing missing() const { return missing_; }
  const std::string* missing_name() const { return pointer<const std::string>(); }

 private:
  Value(Kind kind, uint64_t bits) : kind_(kind), bits_(bits) {}
  Value(Kind kind, const void* pointer) : kind_(kind), bits_(reinterpret_cast<uintptr_t>(pointer)) {}
  template <class T>
  T* pointer() const {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(bits_));
  }
  void retain() {
    if (kind_ == Kind::text && text_object()->heap != nullptr) ++text_object()->uses;
  }
  void free_text();

  Kind kind_;
  Missing missing_ = Missing::item;
  uint64_t bits_;  // the integer, the bits of the double, or the pointer
};
static_assert(sizeof(Value) == 16);

// The sequences of Python that templates meet. An iterator (what map, select, reverse ... give) is used up by going
// through it once, has no length and no items by number.
enum class ListKind : uint8_t { list, tuple, range, iterator, keys, values, items };

struct List {
  List(Heap& in, ListKind k, std::vector<Value> values) : heap(in), kind(k), items(std::move(values)) {}
  void append(Value value);
  bool has_length() const { return kind != ListKind::iterator; }
  bool has_items() const { return kind <= ListKind::range; }  // x[i], slices

  Heap& heap;
  ListKind kind;
  std::vector<Value> items;
  size_t next = 0;              // iterators: the first item that is not used up
  int64_t start = 0, step = 1;  // ranges: to print them
  bool is_group = false;        // a tuple of groupby: its parts have the names grouper and list
};

// Keys in the order of insertion, looked up by hash.
class Dict {
 public:
  struct Entry {
    uint64_t hash;
    Value key, value;
  };
  explicit Dict(Heap& heap) : heap_(heap) {}

  std::span<const Entry> entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  // Null when there is none. A list or dict as a key is an error, as in Python.
  Result<Value*> find(const Value& key);
  Value* find(std::string_view key);
  Status set(const Value& key, Value value);
  void set_text(Value key, Value value);  // a text as the key
  // Whether the key was there.
  Result<bool> erase(const Value& key);
  void clear();
  Heap& heap() const { return heap_; }

 private:
  Result<size_t> position(const Value& key, uint64_t hash);  // size() when there is none
  size_t position(std::string_view key, uint64_t hash);
  template <class Same>
  size_t probe(uint64_t hash, Same same) const;
  void add(uint64_t hash, Value key, Value value);
  void index(size_t entry);
  void rebuild();

  Heap& heap_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // open addressing over entries_, entry + 1, 0 free; empty while there are few
};

// Whether two values are equal as Python's ==. Fails only where they are nested too deeply (a list inside itself).
Result<bool> equal(Heap& heap, const Value& a, const Value& b, int depth = 0);
// Equal values have equal hashes. Fails for lists and dicts.
Result<uint64_t> hash_of(Heap& heap, const Value& value, int depth = 0);

// Lists in lists deeper than this are refused where going through them would recurse.
inline constexpr int kMaxValueDepth = 200;
Error too_deep();

// Names of types as Python gives them: "int", "str", "dict" ...
std::string_view type_name(const Value& value);
// What is undefined, as a sentence.
std::string missing_sentence(const Value& value);

}  // namespace linnet::jinja

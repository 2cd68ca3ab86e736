// Files of every architecture with one thing wrong: a missing or misshapen tensor and a key of the wrong type are refused
// by their name; a missing key or another number is refused by the name of a key or tensor, or the model computes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/embedder.h"
#include "runtime/engine.h"
#include "tests/support.h"

namespace linnet {
namespace {

// The bytes of a file, to be changed in place: nothing moves.
class Bytes {
 public:
  explicit Bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::span<const std::byte> view() const { return std::as_bytes(std::span(bytes_)); }
  // Where the bytes after a name of the header begin.
  size_t after(std::string_view name) const {
    std::string entry(8, '\0');
    const uint64_t length = name.size();
    std::memcpy(entry.data(), &length, 8);
    const size_t at = bytes_.find(entry.append(name));
    EXPECT_NE(at, bytes_.npos) << name;
    return at + entry.size();
  }
  template <class T>
  T get(size_t at) const {
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  template <class T>
  void put(size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  // Runs `check` with something changed.
  template <class T, class Check>
  void with(size_t at, T value, Check check) {
    const T before = get<T>(at);
    put(at, value);
    check();
    put(at, before);
  }

 private:
  std::string bytes_;
};

// Names of keys lack their architecture in some sentences, and sizes are checked where tensors have them.
bool names(const std::string& message, const std::string& key) {
  const std::string tail = key.substr(key.find('.') + 1);
  return message.find(tail) != message.npos || message.find(".weight") != message.npos ||
         message.find(".bias") != message.npos;
}

struct Counts {
  int files = 0, tensors_refused = 0, tensors_optional = 0, shapes = 0, keys_refused = 0, keys_computed = 0;
};

class Damage {
 public:
  Damage(const std::string& path, Counts& counts) : name_(path), bytes_(path), counts_(counts) {}

  void run(Random& random) {
    const auto file = Gguf::parse(bytes_.view());
    ASSERT_TRUE(file) << name_;
    ++counts_.files;
    const auto chosen = [&] { return random.below(10) < test_count(10); };
    for (const Tensor& t : file->tensors()) {
      if (t.name.starts_with("blk.") && !t.name.starts_with("blk.0.")) continue;
      if (chosen()) missing(std::string(t.name));
      if (chosen()) misshapen(t);
    }
    const std::string own = std::string(file->find("general.architecture")->string()) + ".";
    for (const Value& value : file->values()) {
      if (!value.key.starts_with(own) || !chosen()) continue;
      const std::string key(value.key);
      const size_t at = bytes_.after(key);
      bytes_.with(at - 1, '~', [&] { refused_or_computed(key, "removed"); });
      if (value.type == ValueType::u32) {
        bytes_.with(at, uint32_t(ValueType::f32), [&] { expect_refused(key, "of another type"); });
        for (const uint32_t bad : {0u, 1u, 3u, 1000u, 0x7fffffffu, 0xffffffffu})
          bytes_.with(at + 4, bad, [&] { refused_or_computed(key, std::to_string(bad)); });
      } else if (value.type == ValueType::f32) {
        bytes_.with(at, uint32_t(ValueType::u32), [&] { expect_refused(key, "of another type"); });
        for (const float bad : {0.0f, -1.0f, 1e-30f, 1e30f, NAN, INFINITY})
          bytes_.with(at + 4, bad, [&] { refused_or_computed(key, std::to_string(bad)); });
      }
    }
  }

 private:
  // The tensor under another name: needed, or left over.
  void missing(const std::string& tensor) {
    bytes_.with(bytes_.after(tensor) - 1, '~', [&] {
      const auto model = Model::load(bytes_.view());
      if (!model) {
        EXPECT_NE(model.error().message.find(tensor), std::string::npos)
            << name_ << " without " << tensor << ": " << model.error().message;
        ++counts_.tensors_refused;
        return;
      }
      const std::string renamed = tensor.substr(0, tensor.size() - 1) + "~";
      bool warned = false;
      for (const std::string& w : (*model)->warnings) warned |= w.find(renamed) != w.npos;
      EXPECT_TRUE(warned) << name_ << " without " << tensor;
      ++counts_.tensors_optional;
    });
  }

  // Rows and columns exchanged, or half as long: the data stay within the file.
  void misshapen(const Tensor& t) {
    const size_t at = bytes_.after(t.name) + 4;
    const auto check = [&] {
      const auto model = Model::load(bytes_.view());
      ASSERT_FALSE(model) << name_ << " with another shape of " << t.name;
      EXPECT_NE(model.error().message.find(t.name), std::string::npos) << name_ << ": " << model.error().message;
      ++counts_.shapes;
    };
    const uint64_t first = t.dims[0], second = t.n_dims > 1 ? t.dims[1] : 0;
    if (t.n_dims == 1 && first % 2 == 0) bytes_.with(at, first / 2, check);
    if (t.n_dims > 1 && first != second) bytes_.with(at, second, [&] { bytes_.with(at + 8, first, check); });
  }

  void expect_refused(const std::string& key, const std::string& how) {
    const auto model = Model::load(bytes_.view());
    // Keys that nobody reads may be anything.
    if (model) return refused_or_computed(key, how);
    EXPECT_TRUE(names(model.error().message, key))
        << name_ << ", " << key << " " << how << ": " << model.error().message;
    ++counts_.keys_refused;
  }

  void refused_or_computed(const std::string& key, const std::string& how) {
    const auto model = Model::load(bytes_.view());
    if (!model) {
      EXPECT_TRUE(names(model.error().message, key))
          << name_ << ", " << key << " " << how << ": " << model.error().message;
      ++counts_.keys_refused;
      return;
    }
    EngineOptions options;
    options.forward.threads = 1;
    options.context = 64;
    options.batch_tokens = 8;
    if (!(*model)->output.w.data) return;  // an encoder
    const auto engine = Engine::create(*model, options);
    ASSERT_TRUE(engine) << name_ << ", " << key << " " << how << ": " << engine.error().message;
    const auto logits = (*engine)->logits({1, 5, 9}, false);
    EXPECT_TRUE(logits) << name_ << ", " << key << " " << how << ": " << logits.error().message;
    ++counts_.keys_computed;
  }

  std::string name_;
  Bytes bytes_;
  Counts& counts_;
};

TEST(ArchitectureDamage, IsRefusedByName) {
  const auto folder = shared_data("architectures");
  if (!folder) GTEST_SKIP() << "no shared reference data: set LINNET_SHARED_DATA";
  Counts c;
  Random random(1);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder))
    if (entry.path().extension() == ".gguf") Damage(entry.path().string(), c).run(random);
  EXPECT_GE(c.files, 40);
  EXPECT_GT(c.tensors_refused, 4 * c.tensors_optional);
  std::printf("%d files: %d missing tensors refused, %d optional; %d shapes refused; keys: %d refused, %d computed\n",
              c.files, c.tensors_refused, c.tensors_optional, c.shapes, c.keys_refused, c.keys_computed);
}

}  // namespace
}  // namespace linnet

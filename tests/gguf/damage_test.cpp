// Every damaged container that must be refused, by the number of its case: 1-12 container, 13-26 keys and values, 27-36
// alignment and offsets, 37-50 tensors. Each has an error code of its own kind, a sentence, and an allocation bound.
// Split models (87-93): split_test.cpp. Data and special files (94-98): data_test.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "gguf/reader.h"
#include "tests/gguf/counting_new.h"
#include "tests/gguf/sample_model.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

constexpr uint64_t kMax64 = ~uint64_t(0);
constexpr uint64_t kSign64 = uint64_t(1) << 63;

struct Damaged {
  std::string name;  // "case_NN_what"
  Code code;
  std::string mentions;  // what the sentence must name
  std::function<std::string()> make;
};

std::string tiny_with(std::string_view field, uint64_t value) { return tiny_model().encode().with(field, value); }

// The tiny model with one more key, or with its first tensor changed.
std::string with_key(SampleKey key) {
  SampleModel m = tiny_model();
  m.keys.push_back(std::move(key));
  return m.encode().bytes();
}

std::string with_tensor(const std::function<void(SampleTensor&)>& change) {
  SampleModel m = tiny_model();
  change(m.tensors[0]);
  return m.encode().bytes();
}

std::string with_alignment(uint32_t alignment) { return with_key(alignment_key(alignment)); }

template <class T>
std::string with_alignment_of(ValueType type, T value) {
  return with_key(sample_number<T>("general.alignment", type, value));
}

// A tensor whose data are not in the file: only the description matters.
std::string described(Type type, const std::vector<uint64_t>& dims, uint64_t offset = 0, int copies = 1) {
  SampleBytes b;
  b.raw("GGUF").number(uint32_t(3)).number(uint64_t(copies)).number(uint64_t(0));
  for (int i = 0; i < copies; ++i) {
    b.text("huge" + std::to_string(i)).number(uint32_t(dims.size()));
    for (const uint64_t dim : dims) b.number(dim);
    b.number(uint32_t(type)).number(offset);
  }
  b.raw(std::string(256, '\0'));
  return b.bytes();
}

std::vector<Damaged> container_cases() {
  const std::string good = tiny_model().encode().bytes();
  const auto starts = [good](std::string start) { return [=] { return start + good.substr(start.size()); }; };
  const auto version = [](uint32_t v) { return [=] { return tiny_with("version", v); }; };
  const auto count = [](std::string field, uint64_t n) { return [=] { return tiny_with(field, n); }; };
  return {
      {"case_01_empty", Code::gguf_empty, "empty", [] { return std::string(); }},
      {"case_02_one_byte", Code::gguf_short, "1 bytes", [] { return std::string("G"); }},
      {"case_02_two_bytes", Code::gguf_short, "2 bytes", [] { return std::string("GG"); }},
      {"case_02_three_bytes", Code::gguf_short, "3 bytes", [] { return std::string("GGU"); }},
      {"case_03_magic_only", Code::gguf_short, "4 bytes", [] { return std::string("GGUF"); }},
      {"case_04_random", Code::gguf_magic, "'qwer'", starts("qwer")},
      {"case_04_ggml", Code::gguf_magic, "GGML", starts("lmgg")},
      {"case_04_ggjt", Code::gguf_magic, "GGJT", starts("tjgg")},
      {"case_04_safetensors", Code::gguf_magic, "safetensors", starts(std::string("\x40\0\0\0\0\0\0\0{", 9))},
      {"case_04_html", Code::gguf_magic, "HTML", starts("<!DOCTYPE html>")},
      {"case_04_lfs_pointer", Code::gguf_magic, "Git LFS", starts("version https://git-lfs.github.com/spec/v1")},
      {"case_04_zip", Code::gguf_magic, "PyTorch", starts("PK\x03\x04")},
      {"case_04_reversed", Code::gguf_magic, "reversed", starts("FUGG")},
      {"case_05_version_0", Code::gguf_version_zero, "offset 4", version(0)},
      {"case_06_version_1", Code::gguf_version_old, "too old", version(1)},
      {"case_08_version_4", Code::gguf_version_new, "version 4", version(4)},
      {"case_08_version_max", Code::gguf_version_new, "4294967295", version(0xffffffffu)},
      {"case_09_big_endian_3", Code::gguf_big_endian, "big-endian file (version 3", version(0x03000000u)},
      {"case_09_big_endian_2", Code::gguf_big_endian, "big-endian file (version 2", version(0x02000000u)},
      {"case_10_n_tensors_sign", Code::gguf_tensor_count, "9223372036854775808", count("n_tensors", kSign64)},
      {"case_10_n_tensors_max", Code::gguf_tensor_count, "tensors", count("n_tensors", kMax64)},
      {"case_10_n_tensors_of_size", Code::gguf_tensor_count, "tensors", count("n_tensors", good.size() / 24 + 1)},
      {"case_11_n_keys_sign", Code::gguf_kv_count, "9223372036854775808", count("n_keys", kSign64)},
      {"case_11_n_keys_max", Code::gguf_kv_count, "keys", count("n_keys", kMax64)},
      {"case_11_n_keys_of_size", Code::gguf_kv_count, "keys", count("n_keys", good.size() / 14)},
  };
}

std::vector<Damaged> key_cases() {
  const auto u8 = [](std::string name) {
    return [=] { return with_key(sample_number<uint8_t>(name, ValueType::u8, 1)); };
  };
  const auto array_with = [](std::string_view field, uint64_t value) {
    SampleModel m = tiny_model();
    m.keys.push_back(sample_array<uint32_t>("list", ValueType::u32, {1, 2}));
    return m.encode().with(field, value);
  };
  return {
      {"case_13_key_empty", Code::gguf_key_empty, "offset 24",
       [] { return tiny_with("general.architecture length", 0); }},
      {"case_14_key_length_max", Code::gguf_key_length, "18446744073709551615",
       [] { return tiny_with("general.architecture length", kMax64); }},
      {"case_14_key_past_end", Code::gguf_key_length, "60000",
       [] { return tiny_with("sample.block_count length", 60000); }},
      {"case_14_key_too_long", Code::gguf_key_length, "65536", u8(std::string(65536, 'k'))},
      {"case_15_key_not_utf8", Code::gguf_key_text, "not UTF-8", u8("bad\xff\xc0key")},
      {"case_15_key_surrogate", Code::gguf_key_text, "not UTF-8", u8("bad\xed\xa0\x80key")},
      {"case_15_key_with_nul", Code::gguf_key_text, "NUL", u8(std::string("bad\0key", 7))},
      {"case_16_key_twice", Code::gguf_key_duplicate, "'sample.block_count'", u8("sample.block_count")},
      {"case_17_value_type_13", Code::gguf_value_type, "type 13",
       [] { return tiny_with("sample.block_count type", 13); }},
      {"case_17_value_type_255", Code::gguf_value_type, "type 255",
       [] { return tiny_with("sample.block_count type", 255); }},
      {"case_18_string_length_max", Code::gguf_string_length, "'general.architecture'",
       [] { return tiny_with("general.architecture text length", kMax64); }},
      {"case_18_string_length_wraps", Code::gguf_string_length, "'general.architecture'",
       [] { return tiny_with("general.architecture text length", kMax64 - 60); }},
      {"case_18_string_1_gib_in_160_bytes", Code::gguf_string_length, "1073741824",
       [] { return tiny_with("general.architecture text length", 1 << 30).substr(0, 160); }},
      {"case_18_string_in_array_past_end", Code::gguf_string_length, "'texts'",
       [] {
         SampleModel m = tiny_model();
         const std::vector<std::string> texts = {"one", "two"};
         m.keys.push_back(sample_strings("texts", texts));
         return m.encode().with("texts text length", 1 << 20);
       }},
      {"case_19_array_bytes_wrap", Code::gguf_array_length, "'list'",
       [=] { return array_with("list count", 1ull << 62); }},
      {"case_19_array_count_2_61", Code::gguf_array_length, "2305843009213693952",
       [=] { return array_with("list count", 1ull << 61); }},
      {"case_19_array_1_gib_in_160_bytes", Code::gguf_array_length, "'list'",
       [=] { return array_with("list count", 1 << 28).substr(0, 160); }},
      {"case_19_array_past_end", Code::gguf_array_length, "'list'", [=] { return array_with("list count", 1000); }},
      {"case_20_arrays_nested_10000", Code::gguf_array_nesting, "'deep'",
       [] {
         SampleBytes b;
         b.number(uint32_t(ValueType::array));
         for (int i = 0; i < 10000; ++i) b.number(uint32_t(ValueType::array)).number(uint64_t(1));
         b.number(uint32_t(ValueType::u8)).number(uint64_t(0));
         return with_key({"deep", b});
       }},
      {"case_20_arrays_nested_5", Code::gguf_array_nesting, "'deep'",
       [] { return with_key(sample_nested("deep", 4)); }},
      {"case_21_array_of_type_13", Code::gguf_array_type, "type 13", [=] { return array_with("list element", 13); }},
      {"case_21_array_of_type_max", Code::gguf_array_type, "'list'",
       [=] { return array_with("list element", kMax64); }},
      {"case_22_bool_2", Code::gguf_bool, "'flag'",
       [] { return with_key(sample_number<uint8_t>("flag", ValueType::boolean, 2)); }},
      {"case_22_bool_255_in_array", Code::gguf_bool, "'flags'",
       [] {
         return with_key(sample_array<uint8_t>("flags", ValueType::boolean, {0, 1, 255}));
       }},
      {"case_24_alignment_as_i32", Code::gguf_alignment_type, "i32",
       [] { return with_alignment_of<int32_t>(ValueType::i32, 32); }},
      {"case_24_alignment_as_string", Code::gguf_alignment_type, "string",
       [] { return with_key(sample_string("general.alignment", "32")); }},
      {"case_24_split_count_as_string", Code::gguf_key_type, "'split.count'",
       [] { return with_key(sample_string("split.count", "2")); }},
      {"case_25_a_million_keys", Code::gguf_kv_count, "1000000",
       [] {
         SampleModel m;
         for (int i = 0; i < 1000000; ++i) {
           m.keys.push_back(sample_number<uint8_t>(std::to_string(i), ValueType::u8, 0));
         }
         return m.encode().bytes();
       }},
  };
}

std::vector<Damaged> place_cases() {
  const auto cut = [](size_t keep_of_last_tensor) {
    const SampleModel m = tiny_model();
    const std::string bytes = m.encode().bytes();
    return bytes.substr(0, bytes.size() - (96 - keep_of_last_tensor));  // the last tensor has 8 x 3 x 4 bytes
  };
  return {
      {"case_27_alignment_0", Code::gguf_alignment_zero, "0", [] { return with_alignment(0); }},
      {"case_28_alignment_48", Code::gguf_alignment_power, "48", [] { return with_alignment(48); }},
      {"case_28_alignment_1", Code::gguf_alignment_power, "1", [] { return with_alignment(1); }},
      {"case_29_alignment_2_31", Code::gguf_alignment_large, "2147483648", [] { return with_alignment(1u << 31); }},
      {"case_29_alignment_max", Code::gguf_alignment_large, "4294967295", [] { return with_alignment(0xffffffffu); }},
      {"case_29_alignment_2_63", Code::gguf_alignment_type, "u64",
       [] { return with_alignment_of<uint64_t>(ValueType::u64, kSign64); }},
      {"case_30_offset_misaligned", Code::gguf_offset_misaligned, "'b.weight'",
       [] { return tiny_with("b.weight offset", 104); }},
      {"case_31_offset_past_end", Code::gguf_offset_range, "'b.weight'",
       [] { return tiny_with("b.weight offset", 1 << 20); }},
      {"case_31_offset_at_end", Code::gguf_offset_range, "'b.weight'",
       [] { return tiny_with("b.weight offset", 192); }},
      {"case_32_offset_wraps", Code::gguf_offset_overflow, "'b.weight'",
       [] { return tiny_with("b.weight offset", kMax64 - 31); }},
      {"case_33_last_byte_missing", Code::gguf_data_truncated, "'b.weight'", [=] { return cut(95); }},
      {"case_33_half_missing", Code::gguf_data_truncated, "'b.weight'", [=] { return cut(48); }},
      {"case_33_last_page_missing", Code::gguf_data_truncated, "'page'",
       [] {
         SampleModel m;
         m.tensors = {{"page", Type::f32, {4096}}};
         const std::string bytes = m.encode().bytes();
         return bytes.substr(0, bytes.size() - 4096);
       }},
      {"case_34_same_place", Code::gguf_tensor_overlap, "'b.weight'", [] { return tiny_with("b.weight offset", 0); }},
      {"case_34_last_byte_shared", Code::gguf_tensor_overlap, "'wide'",
       [] {
         SampleModel m;
         m.tensors = {{"wide", Type::i8, {33}, 0}, {"next", Type::i8, {32}, 32}};
         return m.encode().bytes();
       }},
      {"case_36_data_start_past_end", Code::gguf_data_start, "offset",
       [] {
         const SampleBytes b = tiny_model().encode();
         return b.bytes().substr(0, b.at("b.weight offset") + 8);  // ends before the padding
       }},
      {"case_36_data_start_of_large_alignment", Code::gguf_data_start, "1048576",
       [] { return with_alignment(1 << 20); }},
  };
}

std::vector<Damaged> tensor_cases() {
  const auto n_dims = [](uint64_t n) { return [=] { return tiny_with("a.weight n_dims", n); }; };
  const auto type = [](uint64_t id) { return [=] { return tiny_with("a.weight type", id); }; };
  const auto renamed = [](std::string name) {
    return [=] { return with_tensor([&](SampleTensor& t) { t.name = name; }); };
  };
  std::vector<Damaged> cases = {
      {"case_37_n_dims_0", Code::gguf_dims_count, "'a.weight'", n_dims(0)},
      {"case_37_n_dims_5", Code::gguf_dims_count, "'a.weight'", n_dims(5)},
      {"case_37_n_dims_max", Code::gguf_dims_count, "4294967295", n_dims(0xffffffffu)},
      {"case_38_dim_0", Code::gguf_dim_zero, "'a.weight'", [] { return tiny_with("a.weight dim 0", 0); }},
      {"case_38_dim_1_is_0", Code::gguf_dim_zero, "[64, 0]", [] { return tiny_with("a.weight dim 1", 0); }},
      {"case_39_dim_negative", Code::gguf_dim_negative, "'a.weight'",
       [] { return tiny_with("a.weight dim 1", kMax64); }},
      {"case_39_dim_sign", Code::gguf_dim_negative, "'a.weight'", [] { return tiny_with("a.weight dim 0", kSign64); }},
      {"case_40_values_wrap", Code::gguf_dims_overflow, "'huge0'",
       [] {
         return described(Type::i8, {1ull << 32, 1ull << 32});
       }},
      {"case_40_values_exceed_63_bits", Code::gguf_dims_overflow, "'huge0'",
       [] {
         return described(Type::i8, {1ull << 32, 1ull << 31});
       }},
      {"case_41_bytes_wrap", Code::gguf_bytes_overflow, "'huge0'", [] { return described(Type::f64, {1ull << 61}); }},
      {"case_41_bytes_exceed_63_bits", Code::gguf_bytes_overflow, "'huge0'",
       [] { return described(Type::f32, {1ull << 61}); }},
      {"case_42_sum_wraps", Code::gguf_sum_overflow, "'huge1'", [] { return described(Type::i8, {1ull << 62}, 0, 4); }},
      {"case_43_name_64_bytes", Code::gguf_tensor_name, "64", renamed(std::string(64, 'n'))},
      {"case_43_name_empty", Code::gguf_tensor_name, "''", renamed("")},
      {"case_43_name_not_utf8", Code::gguf_tensor_name, "UTF-8", renamed("a\xffweight")},
      {"case_43_name_with_nul", Code::gguf_tensor_name, "NUL", renamed(std::string("a\0b", 3))},
      {"case_43_name_length_max", Code::gguf_tensor_name, "18446744073709551615",
       [] { return tiny_with("a.weight name length", kMax64); }},
      {"case_44_name_twice", Code::gguf_tensor_duplicate, "'b.weight'", renamed("b.weight")},
      {"case_45_type_255", Code::gguf_tensor_type, "255", type(255)},
      {"case_45_type_max", Code::gguf_tensor_type, "4294967295", type(0xffffffffu)},
      {"case_45_type_43", Code::gguf_tensor_type, "43", type(43)},
      {"case_47_row_33_of_q4_0", Code::gguf_row_multiple, "multiple of 32",
       [] { return tiny_with("a.weight dim 0", 33); }},
      {"case_47_row_64_of_q4_k", Code::gguf_row_multiple, "multiple of 256", type(uint32_t(Type::q4_k))},
  };
  for (const uint32_t id : {4, 5, 31, 32, 33, 36, 37, 38}) {
    cases.push_back(
        {"case_45_type_removed_" + std::to_string(id), Code::gguf_tensor_type_removed, "'a.weight'", type(id)});
  }
  return cases;
}

std::vector<Damaged> all_cases() {
  std::vector<Damaged> all;
  for (auto part : {container_cases, key_cases, place_cases, tensor_cases}) {
    for (Damaged& d : part()) all.push_back(std::move(d));
  }
  return all;
}

class Damage : public ::testing::TestWithParam<Damaged> {};

TEST_P(Damage, IsRefused) {
  const Damaged& d = GetParam();
  const std::string bytes = d.make();
  const AllocationCount parsing;
  const Result<Gguf> parsed = Gguf::parse(std::as_bytes(std::span(bytes)));
  EXPECT_LE(parsing.bytes(), 2 * bytes.size() + (1 << 20));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(code_name(parsed.error().code), code_name(d.code)) << parsed.error().message;
  EXPECT_NE(parsed.error().message.find(d.mentions), std::string::npos) << parsed.error().message;

  const TempFolder folder;
  const std::string path = folder.write("damaged.gguf", bytes);
  const AllocationCount opening;
  const Result<Gguf> opened = Gguf::open(path);
  EXPECT_LE(opening.bytes(), 2 * bytes.size() + (1 << 20));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, d.code);
  EXPECT_EQ(opened.error().message, path + ": " + parsed.error().message);
}

INSTANTIATE_TEST_SUITE_P(Cases, Damage, ::testing::ValuesIn(all_cases()),
                         [](const ::testing::TestParamInfo<Damaged>& test) { return test.param.name; });

TEST(DamageCases, ThereAreManyWithManyCodes) {
  std::set<Code> codes;
  const std::vector<Damaged> cases = all_cases();
  for (const Damaged& d : cases) codes.insert(d.code);
  EXPECT_GE(codes.size(), 40u);
  std::printf("%zu damaged files, %zu error codes\n", cases.size(), codes.size());
}

TEST(DamageCases, Case07_Version2IsRead) {
  SampleModel m = tiny_model();
  m.version = 2;
  const SampleBytes b = m.encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->version(), 2u);
  EXPECT_EQ(g->tensors().size(), 2u);
}

TEST(DamageCases, Case12_TruncatedAtEveryByte) {
  size_t cuts = 0;
  for (const SampleModel& m : good_models()) {
    const std::string bytes = m.encode().bytes();
    const size_t end = std::min<size_t>(bytes.size(), 4096);
    for (size_t length = 0; length < end; ++length, ++cuts) {
      // A copy of its own, so that a sanitizer sees any read beyond the end.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + std::ptrdiff_t(length));
      const AllocationCount count;
      const Result<Gguf> g =
          Gguf::parse(std::as_bytes(std::span(cut)), {.check_values = true, .check_checksums = true});
      ASSERT_LE(count.bytes(), 2 * length + (1 << 20));
      ASSERT_FALSE(g) << "cut to " << length << " of " << bytes.size() << " bytes";
      ASSERT_FALSE(g.error().message.empty());
    }
  }
  std::printf("%zu truncations refused\n", cuts);
}

// What a model loader meets through the typed getters.
TEST(DamageCases, Case23_24_26_TypedKeysAreChecked) {
  SampleModel m = tiny_model();
  m.keys.push_back(sample_number<float>("f.nan", ValueType::f32, __builtin_nanf("")));
  m.keys.push_back(sample_number<double>("f.inf", ValueType::f64, -__builtin_inf()));
  m.keys.push_back(sample_number<int32_t>("i.negative", ValueType::i32, -1));
  m.keys.push_back(sample_array<uint32_t>("i.array", ValueType::u32, {7}));
  const SampleBytes b = m.encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  const auto code = [](const auto& result) { return result ? Code::ok : result.error().code; };
  EXPECT_EQ(code(g->string("absent")), Code::gguf_key_missing);
  EXPECT_EQ(code(g->integer("absent")), Code::gguf_key_missing);
  EXPECT_EQ(code(g->number("absent")), Code::gguf_key_missing);
  EXPECT_EQ(code(g->boolean("absent")), Code::gguf_key_missing);
  EXPECT_NE(g->boolean("absent").error().message.find("'absent'"), std::string::npos);
  EXPECT_EQ(code(g->integer("general.architecture")), Code::gguf_key_type);
  EXPECT_EQ(code(g->string("sample.block_count")), Code::gguf_key_type);
  EXPECT_EQ(code(g->boolean("sample.block_count")), Code::gguf_key_type);
  EXPECT_EQ(code(g->number("general.architecture")), Code::gguf_key_type);
  EXPECT_EQ(code(g->integer("i.array")), Code::gguf_key_type);
  EXPECT_EQ(code(g->number("i.array")), Code::gguf_key_type);
  EXPECT_EQ(code(g->integer("i.negative")), Code::gguf_value_range);
  EXPECT_EQ(code(g->integer("f.nan")), Code::gguf_key_type);
  EXPECT_EQ(code(g->number("f.nan")), Code::gguf_value_range);
  EXPECT_EQ(code(g->number("f.inf")), Code::gguf_value_range);
  EXPECT_EQ(code(g->integer_or("general.architecture", 1)), Code::gguf_key_type);
  EXPECT_EQ(code(g->number_or("f.nan", 1)), Code::gguf_value_range);
  EXPECT_EQ(*g->integer_or("absent", 9), 9u);
  EXPECT_EQ(*g->number_or("absent", 0.5), 0.5);
  EXPECT_EQ(*g->string_or("absent", "x"), "x");
  EXPECT_EQ(*g->boolean_or("absent", true), true);
  EXPECT_EQ(*g->number("sample.block_count"), 2.0);
}

TEST(DamageCases, Case25_TheMostKeysAndTensorsStayWithinBounds) {
  SampleModel m;
  m.alignment = 8;
  for (uint64_t i = 0; i < kMaxKeys - 1; ++i) {
    m.keys.push_back(sample_number<uint8_t>(std::to_string(i), ValueType::u8, 0));
  }
  m.keys.push_back(alignment_key(8));
  for (uint64_t i = 0; i < kMaxTensors; ++i) m.tensors.push_back({std::to_string(i), Type::i8, {1}});
  const SampleBytes b = m.encode();
  const AllocationCount count;
  const Result<Gguf> g = Gguf::parse(b.span());
  const uint64_t allocated = count.bytes();
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_LE(allocated, 2 * b.bytes().size() + (1 << 20));
  EXPECT_EQ(g->tensors().size(), kMaxTensors);
  ASSERT_NE(g->tensor("32767"), nullptr);
  EXPECT_EQ(g->tensor("32767")->name, "32767");
  std::printf("%zu bytes of file, %zu allocated\n", b.bytes().size(), size_t(allocated));
}

TEST(DamageCases, Case35_GapsAndAnyOrderAreRead) {
  const SampleBytes b = good_models()[4].encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_GT(g->tensor("late")->data, g->tensor("middle")->data);
  EXPECT_GT(g->tensor("middle")->data, g->tensor("early")->data);
}

// Types without kernels are listed and can be copied; running them is refused by who would run them.
TEST(DamageCases, Case46_EveryTypeOfTheFormatIsListed) {
  const SampleBytes b = good_models()[3].encode();
  const Result<Gguf> g = Gguf::parse(b.span(), {.check_values = true});
  ASSERT_TRUE(g) << g.error().message;
  ASSERT_EQ(g->tensors().size(), all_types().size());
  for (const Tensor& t : g->tensors()) {
    const TypeInfo& info = *type_info(t.type);
    EXPECT_EQ(t.name, "t." + std::string(info.name));
    EXPECT_EQ(t.rows(), 3u);
    EXPECT_EQ(t.bytes, uint64_t(info.block_bytes) * 6);
    EXPECT_EQ(t.offset % 64, 0u);
  }
}

TEST(DamageCases, Case48_NoTensors) {
  const SampleBytes b = good_models()[2].encode();
  EXPECT_TRUE(Gguf::parse(b.span()));
  const Result<Gguf> g = Gguf::parse(b.span(), {.need_tensors = true});
  ASSERT_FALSE(g);
  EXPECT_EQ(g.error().code, Code::gguf_no_tensors);
}

TEST(DamageCases, Case50_UnknownTensorsAreListed) {
  SampleModel m = tiny_model();
  m.tensors.push_back({"something.nobody.knows", Type::f32, {3}});
  const SampleBytes b = m.encode();
  const Result<Gguf> g = Gguf::parse(b.span());
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_NE(g->tensor("something.nobody.knows"), nullptr);
}

}  // namespace
}  // namespace linnet

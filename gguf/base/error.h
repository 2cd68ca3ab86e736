// Errors are values: one type in the whole project, a code and a sentence.
//
// The sentence says what failed, what was expected, what was found, where, and what to do about it. Nothing in the
// library throws, aborts, exits or prints; std::bad_alloc is caught where a request or a C call begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace linnet {

// One row per code: X(identifier). The identifier is also the code's name in JSON output and logs.
// clang-format off
#define LINNET_ERROR_CODES(X) \
  X(ok) X(internal) X(invalid_argument) X(unsupported) X(out_of_memory) X(cancelled) X(busy) X(too_large) \
  X(io_not_found) X(io_not_regular) X(io_permission) X(io_read) X(io_write) X(io_map) X(io_changed) X(thread_start) \
  X(gguf_empty) X(gguf_short) X(gguf_magic) X(gguf_version_zero) X(gguf_version_old) X(gguf_version_new) \
  X(gguf_big_endian) X(gguf_tensor_count) X(gguf_kv_count) X(gguf_truncated) X(gguf_key_empty) X(gguf_key_length) \
  X(gguf_key_text) X(gguf_key_duplicate) X(gguf_value_type) X(gguf_string_length) X(gguf_array_length) \
  X(gguf_array_nesting) X(gguf_array_type) X(gguf_bool) X(gguf_key_missing) X(gguf_key_type) X(gguf_value_range) \
  X(gguf_alignment_zero) X(gguf_alignment_power) X(gguf_alignment_large) X(gguf_alignment_type) \
  X(gguf_offset_misaligned) X(gguf_offset_range) X(gguf_offset_overflow) X(gguf_data_truncated) \
  X(gguf_tensor_overlap) X(gguf_data_start) X(gguf_dims_count) X(gguf_dim_zero) X(gguf_dim_negative) \
  X(gguf_dims_overflow) X(gguf_bytes_overflow) X(gguf_sum_overflow) X(gguf_tensor_name) X(gguf_tensor_duplicate) \
  X(gguf_tensor_type_removed) X(gguf_tensor_type) X(gguf_tensor_type_unsupported) X(gguf_row_multiple) \
  X(gguf_no_tensors) X(gguf_tensor_missing) X(gguf_tensor_shape) X(gguf_norm_type) X(gguf_split_missing) \
  X(gguf_split_number) X(gguf_split_count) X(gguf_split_tensor_count) X(gguf_split_mixed) X(gguf_split_path) \
  X(gguf_split_duplicate) X(gguf_value_check) X(gguf_checksum) X(gguf_not_a_model) X(gguf_hparams) \
  X(gguf_architecture) X(gguf_vocabulary) X(json_syntax) X(json_type) X(option_unknown) X(option_type) \
  X(option_range) X(prompt_too_long) X(prompt_empty) X(context_full) X(token_range) X(logits_not_finite) \
  X(backend_unknown) X(backend_unavailable) X(encode_values) X(cache_full) \
  X(grammar_syntax) X(grammar_limit) X(grammar_dead_end) X(schema_unsupported) X(schema_invalid) X(regex) \
  X(sampler_unknown) X(sampler_failed) X(timeout) X(handle_unknown) X(session_file)
// clang-format on

enum class Code : uint16_t {
#define X(name) name,
  LINNET_ERROR_CODES(X)
#undef X
};

// The identifier of a code, for example "gguf_magic".
std::string_view code_name(Code code);

struct [[nodiscard]] Error {
  Code code = Code::internal;
  std::string message;
};

// Makes an error from a format string: fail(Code::gguf_magic, "...", args...).
template <class... Args>
Error fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return {code, fmt::format(text, std::forward<Args>(args)...)};
}

// A value or an error. `if (!r) return r.error();` or LINNET_TRY below. T may be move-only.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : error_(std::move(error)) {}  // NOLINT
  explicit operator bool() const { return value_.has_value(); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  // Only after a failed test.
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT
  explicit operator bool() const { return !failed_; }
  const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

#define LINNET_JOIN2(a, b) a##b
#define LINNET_JOIN(a, b) LINNET_JOIN2(a, b)
// LINNET_TRY(auto x, f());  declares x from the value, or returns f's error from the enclosing function.
#define LINNET_TRY(declaration, expression)                                           \
  auto LINNET_JOIN(result_, __LINE__) = (expression);                                 \
  if (!LINNET_JOIN(result_, __LINE__)) return LINNET_JOIN(result_, __LINE__).error(); \
  declaration = *std::move(LINNET_JOIN(result_, __LINE__))
// LINNET_CHECK(f());  returns f's error from the enclosing function.
#define LINNET_CHECK(expression) \
  if (auto status_ = (expression); !status_) return status_.error()

}  // namespace linnet

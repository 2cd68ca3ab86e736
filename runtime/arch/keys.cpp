#include "runtime/arch/keys.h"

namespace linnet {

Result<int64_t> Keys::integer(std::string_view key, int64_t low, int64_t high) const {
  LINNET_TRY(const uint64_t value, file_.integer(name(key)));
  if (value < static_cast<uint64_t>(low) || value > static_cast<uint64_t>(high))
    return fail(Code::gguf_hparams,
                "key {} is {}, expected {} to {}; the model file is damaged or of a kind not known here", name(key),
                value, low, high);
  return static_cast<int64_t>(value);
}

Result<int64_t> Keys::integer_or(std::string_view key, int64_t otherwise, int64_t low, int64_t high) const {
  if (!has(key)) return otherwise;
  return integer(key, low, high);
}

Result<double> Keys::number(std::string_view key, double low, double high) const {
  LINNET_TRY(const double value, file_.number(name(key)));
  if (!(value >= low && value <= high))
    return fail(Code::gguf_hparams,
                "key {} is {}, expected {} to {}; the model file is damaged or of a kind not known here", name(key),
                value, low, high);
  return value;
}

Result<double> Keys::number_or(std::string_view key, double otherwise, double low, double high) const {
  if (!has(key)) return otherwise;
  return number(key, low, high);
}

Result<bool> Keys::boolean_or(std::string_view key, bool otherwise) const {
  return file_.boolean_or(name(key), otherwise);
}

Result<std::vector<int64_t>> Keys::per_layer(std::string_view key, int64_t layers, int64_t low, int64_t high) const {
  const Value* value = file_.find(name(key));
  if (!value || value->type != ValueType::array) {
    LINNET_TRY(const int64_t all, integer(key, low, high));
    return std::vector<int64_t>(static_cast<size_t>(layers), all);
  }
  const bool numbers = value->is_integer() || value->element == ValueType::boolean;
  if (!numbers || value->count != static_cast<uint64_t>(layers))
    return fail(Code::gguf_hparams, "key {} is an array of {} {} values, expected one integer for each of {} layers",
                name(key), value->count, value_type_name(value->element), layers);
  std::vector<int64_t> all;
  for (uint64_t i = 0; i < value->count; ++i) {
    all.push_back(value->integer(i));
    if (all.back() < low || all.back() > high)
      return fail(Code::gguf_hparams, "key {} is {} for layer {}, expected {} to {}", name(key), all.back(), i, low,
                  high);
  }
  return all;
}

Result<std::string_view> Keys::string_or(std::string_view key, std::string_view otherwise) const {
  return file_.string_or(name(key), otherwise);
}

}  // namespace linnet

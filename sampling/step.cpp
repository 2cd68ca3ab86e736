#include "sampling/step.h"

namespace linnet {

Status check_range(std::string_view name, double value, double low, double high, std::string_view advice) {
  if (value >= low && value <= high) return {};
  return fail(Code::option_range, "{} is {}: expected a number from {} to {}; {}", name, value, low, high, advice);
}

Status check_window(std::string_view name, int32_t value) {
  if (value >= -1) return {};
  return fail(Code::option_range,
              "{} is {}: expected a number of tokens >= 0, or -1 for the whole context; 0 switches the step off", name,
              value);
}

}  // namespace linnet

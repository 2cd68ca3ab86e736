#include "sampling/number_range.h"

#include <algorithm>
#include <string>
#include <vector>

namespace linnet {
namespace {

constexpr ScaledNumber kDecimalMax = kScale * kScale - 1;  // 18 nines, point, 18 nines

ScaledNumber floor_to_units(ScaledNumber n, ScaledNumber unit) {
  const ScaledNumber whole = n / unit;
  return n % unit != 0 && n < 0 ? whole - 1 : whole;
}

// At least `width` digits of a number >= 0.
std::string digits_of(ScaledNumber n, size_t width) {
  std::string digits;
  for (; n > 0 || digits.size() < width; n /= 10) digits += char('0' + int(n % 10));
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// Numbers >= 0 between two bounds. The digits of both are followed from the left; as long as those read equal the
// digits of a bound, the bound limits the next digit, and after that it is met.
class DigitRange {
 public:
  DigitRange(GrammarRules& rules, int fraction) : rules_(rules), fraction_(size_t(fraction)) {}

  // In units of the last of the `fraction` digits.
  int32_t add(ScaledNumber least, ScaledNumber most) {
    least_ = digits_of(least, fraction_ + 1);
    most_ = digits_of(most, fraction_ + 1);
    if (least_.size() == most_.size()) return same_length();
    const std::string low = least_, high = most_;
    std::vector<int32_t> ways;
    most_ = std::string(low.size(), '9');
    ways.push_back(same_length());
    if (low.size() + 1 < high.size()) {
      const int32_t first = digits('1', '9');
      const size_t whole = low.size() - fraction_;
      const int32_t others = rules_.repeat(digits('0', '9'), int32_t(whole), int32_t(high.size() - fraction_ - 2));
      ways.push_back(rules_.sequence({first, others, fraction_after('0', '9')}));
    }
    least_ = "1" + std::string(high.size() - 1, '0');
    most_ = high;
    ways.push_back(same_length());
    return rules_.choice(std::move(ways));
  }

 private:
  int32_t digits(char first, char last) { return rules_.characters({{uint32_t(first), uint32_t(last)}}); }

  // The fraction, or none, when its digits are free (or must be 0).
  int32_t fraction_after(char first, char last) {
    if (fraction_ == 0) return rules_.text("");
    const int32_t some = rules_.repeat(digits(first, last), 1, int32_t(fraction_));
    return rules_.optional(rules_.sequence({rules_.text("."), some}));
  }

  int32_t same_length() {
    whole_ = least_.size() - fraction_;
    return rest(0, true, true);
  }

  // What may follow `at` digits, of which all equal those of the bound where it is still `low` or `high`.
  int32_t rest(size_t at, bool low, bool high) {
    const auto only = [at](const std::string& bound, char digit) {
      return bound.find_first_not_of(digit, at) == std::string::npos;
    };
    low &= !only(least_, '0');
    high &= !only(most_, '9');
    const size_t left = least_.size() - at;
    // Where the point is due, and below: a number may end where the bound's digits left are all 0.
    if (at >= whole_) {
      const bool zeros = high && only(most_, '0');
      if (zeros || (!low && !high)) {
        const char last = zeros ? '0' : '9';
        if (at == whole_) return fraction_after('0', last);
        if (left == 0) return rules_.text("");
        return rules_.repeat(digits('0', last), 0, int32_t(left));
      }
      const int32_t more =
          at == whole_ ? rules_.sequence({rules_.text("."), next(at, low, high)}) : next(at, low, high);
      return low ? more : rules_.optional(more);
    }
    if (!low && !high) {
      const int32_t whole = rules_.repeat(digits('0', '9'), int32_t(whole_ - at), int32_t(whole_ - at));
      return rules_.sequence({whole, fraction_after('0', '9')});
    }
    return next(at, low, high);
  }

  int32_t next(size_t at, bool low, bool high) {
    char first = low ? least_[at] : '0';
    char last = high ? most_[at] : '9';
    std::vector<int32_t> ways;
    const auto way = [&](char from, char to, bool still_low, bool still_high) {
      const int32_t digit = digits(from, to);
      ways.push_back(rules_.sequence({digit, rest(at + 1, still_low, still_high)}));
    };
    if (low && high && first == last) {
      way(first, last, true, true);
    } else {
      if (low) {
        way(first, first, true, false);
        ++first;
      }
      if (high) {
        way(last, last, false, true);
        --last;
      }
      if (first <= last) way(first, last, false, false);
    }
    return ways.size() == 1 ? ways[0] : rules_.choice(std::move(ways));
  }

  GrammarRules& rules_;
  const size_t fraction_;
  size_t whole_ = 0;          // digits before the point
  std::string least_, most_;  // equally many digits
};

}  // namespace

Scaled scaled_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  ScaledNumber value = 0;
  int64_t exponent = kNumberDigits;
  size_t at = negative ? 1 : 0;
  bool exact = true, after_point = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      after_point = true;
      continue;
    }
    if (value < kScaledMax / 10) {
      value = value * 10 + (text[at] - '0');
      exponent -= after_point;
    } else {  // digits beyond all that counts
      exact &= text[at] == '0';
      exponent += !after_point;
    }
  }
  if (at < text.size()) {
    ++at;
    const bool down = text[at] == '-';
    if (text[at] == '-' || text[at] == '+') ++at;
    int64_t e = 0;
    for (; at < text.size(); ++at) e = std::min<int64_t>(e * 10 + (text[at] - '0'), 100'000);
    exponent += down ? -e : e;
  }
  for (; exponent > 0 && value != 0; --exponent) {
    if (value > kScaledMax / 10) {
      value = kScaledMax;
      break;
    }
    value *= 10;
  }
  for (; exponent < 0 && (value != 0 || exact); ++exponent) {
    exact &= value % 10 == 0;
    value /= 10;
    if (value == 0 && exact) break;
  }
  if (!negative) return {value, exact};
  return {exact ? -value : -value - 1, exact};
}

NumberRange intersection(const NumberRange& a, const NumberRange& b) {
  return {std::max(a.least, b.least), std::min(a.most, b.most)};
}

int32_t add_number_range(GrammarRules& rules, const NumberRange& range, bool integers_only) {
  ScaledNumber least, most;
  if (integers_only) {
    least = std::max<ScaledNumber>(-floor_to_units(-range.least, kScale), INT64_MIN);
    most = std::min<ScaledNumber>(floor_to_units(range.most, kScale), INT64_MAX);
  } else {
    least = std::max(range.least, -kDecimalMax);
    most = std::min(range.most, kDecimalMax);
  }
  if (least > most) return -1;
  std::vector<int32_t> ways;
  DigitRange digits(rules, integers_only ? 0 : kNumberDigits);
  if (least < 0) {
    const int32_t magnitude = digits.add(std::max<ScaledNumber>(1, -most), -least);
    ways.push_back(rules.sequence({rules.text("-"), magnitude}));
  }
  if (most >= 0) ways.push_back(digits.add(std::max<ScaledNumber>(0, least), most));
  return ways.size() == 1 ? ways[0] : rules.choice(std::move(ways));
}

}  // namespace linnet

// Text that goes round in circles, by two measures of the generated tokens.
//
// repetition(): the share of the last 64 tokens with which a 4-gram (the token and the three before it) ended that had
// ended before, up to 256 tokens earlier:
//
//     R = |{ i in last 64 : exists j in [i - 256, i) with t[j-3..j] = t[i-3..i] }| / 64
//
// 0 in text that never says the same four tokens twice, 1 in a loop of up to 256 tokens, also one in which few tokens
// change from turn to turn. It is told from the 64th token on; a loop must run for 64 R tokens before it reaches R.
//
// rounds(): how often in a row the text has just said the same thing, exactly:
//
//     N = max over periods p in 1..128 of 1 + floor(r_p / p), r_p = how many of the last tokens equal the one p before
//
// where only runs count of which at least 16 tokens are repetitions (r_p >= 16), so that a row of dashes or "no, no, no"
// does not.
#pragma once

#include <array>
#include <cstdint>

namespace linnet {

class LoopDetector {
 public:
  static constexpr int kGram = 4;
  static constexpr int kWindow = 64;
  static constexpr int kReach = 256;
  static constexpr int kPeriods = 128;
  static constexpr int kLeastRun = 16;

  void add(int32_t token);
  double repetition() const { return count_ < kWindow ? 0.0 : double(repeated_) / kWindow; }
  int64_t rounds() const;

 private:
  int64_t count_ = 0;                        // tokens so far
  int32_t repeated_ = 0;                     // of the last kWindow
  std::array<int32_t, kReach> tokens_{};     // ring: token i is at i % kReach
  std::array<uint64_t, kReach> grams_{};     // ring: hash of the 4-gram that ends with token i
  std::array<bool, kWindow> repeats_{};      // ring: whether token i repeats
  std::array<int32_t, kPeriods + 1> run_{};  // [p]: r_p; grows up to 2^30
};

}  // namespace linnet

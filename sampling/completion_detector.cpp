#include "sampling/completion_detector.h"

namespace linnet {
namespace {

// The last bytes of the text, by whether they end a sentence, or may stand behind its end.
bool ends_sentence(uint32_t last) {
  switch (last & 0xFF) {
    case '.':
    case '!':
    case '?':
    case '\n':
      return true;
    default:
      break;
  }
  switch (last & 0xFFFFFF) {
    case 0xE38082:  // ideographic full stop
    case 0xEFBC81:  // fullwidth !
    case 0xEFBC9F:  // fullwidth ?
    case 0xE280A6:
      return true;  // ellipsis
    default:
      return false;
  }
}

bool may_follow_end(uint32_t last) {
  switch (last & 0xFF) {
    case ' ':
    case '\t':
    case '\r':
    case '"':
    case '\'':
    case ')':
    case ']':
    case '*':
    case '`':
      return true;
    default:
      break;
  }
  switch (last & 0xFFFFFF) {
    case 0xE28099:  // right single quotation mark
    case 0xE2809D:  // right double quotation mark
    case 0xE3808D:  // right corner bracket
    case 0xEFBC89:
      return true;  // fullwidth )
    default:
      return false;
  }
}

}  // namespace

bool CompletionDetector::look(double eog_probability) {
  if (!at_place_ || !(eog_probability >= 0 && eog_probability <= 1)) return false;
  goes_on_[size_t(places_++ % kPlaces)] = 1 - eog_probability;
  return true;
}

void CompletionDetector::add(std::string_view bytes) {
  ++count_;
  for (const char c : bytes) {
    const auto byte = uint8_t(c);
    last_bytes_ = (last_bytes_ << 8) | byte;
    const bool continues = (byte & 0xC0) == 0x80;
    if (byte >= 0xC0) {
      missing_ = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    } else {
      missing_ = continues && missing_ > 0 ? missing_ - 1 : 0;
    }
    if (missing_ == 0) at_place_ = ends_sentence(last_bytes_) || (at_place_ && may_follow_end(last_bytes_));
  }
}

double CompletionDetector::completion() const {
  if (count_ < kLeastTokens) return 0;
  double goes_on = 1;
  for (const double p : goes_on_) goes_on *= p;
  return 1 - goes_on;
}

}  // namespace linnet

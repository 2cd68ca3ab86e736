#include "sampling/pattern.h"

#include <algorithm>
#include <array>

#include <re2/re2.h>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// Groups beyond these are not asked for: a begin is the first that took part.
constexpr int kMostGroups = 16;

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

bool may_look_ahead(std::string_view pattern) {
  if (pattern.find('$') != pattern.npos) return true;
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] != '\\') continue;
    const char escaped = pattern[++i];
    if (escaped == 'b' || escaped == 'B' || escaped == 'z') return true;
  }
  return false;
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view pattern, std::string_view what) {
  if (pattern.empty() || pattern.size() > kMostBytes) {
    return fail(Code::regex, "{}: the pattern has {} bytes, expected 1 to {}", what, pattern.size(), kMostBytes);
  }
  re2::RE2::Options options;
  options.set_max_mem(kMostMemory);
  options.set_log_errors(false);
  auto compiled = std::make_shared<const re2::RE2>(piece(pattern), options);
  if (!compiled->ok()) {
    const std::string& part = compiled->error_arg();
    const size_t at = part.empty() ? pattern.npos : pattern.find(part);
    return fail(Code::regex,
                "{}: {} is no pattern: {}{}; patterns are RE2's: no look-around, no back-references, repetitions up to "
                "1000, and they must compile to little",
                what, quoted(pattern), compiled->error(),
                at == pattern.npos ? std::string() : fmt::format(" (at byte {})", at));
  }
  if (compiled->ProgramSize() > kMostInstructions) {
    return fail(Code::regex, "{}: {} compiles to {} instructions, at most {} are taken; make its repetitions smaller",
                what, quoted(pattern), compiled->ProgramSize(), kMostInstructions);
  }
  Pattern made;
  made.compiled_ = std::move(compiled);
  made.looks_ahead_ = may_look_ahead(pattern);
  if (made.found("", 0, 0)) {
    return fail(Code::regex, "{}: {} matches the empty text, so it says nothing; ask for at least one character", what,
                quoted(pattern));
  }
  return made;
}

std::optional<Pattern::Match> Pattern::run(std::string_view text, size_t from, size_t to, bool whole) const {
  std::array<re2::StringPiece, 1 + kMostGroups> groups;
  const int wanted = 1 + std::min(compiled_->NumberOfCapturingGroups(), kMostGroups);
  const auto anchor = whole ? re2::RE2::ANCHOR_BOTH : re2::RE2::UNANCHORED;
  if (!compiled_->Match(piece(text), from, to, anchor, groups.data(), wanted)) return std::nullopt;
  const auto place = [&](const re2::StringPiece& group) { return size_t(group.data() - text.data()); };
  Match match{.start = place(groups[0]), .end = place(groups[0]) + groups[0].size(), .begin = place(groups[0])};
  const auto took_part = std::find_if(groups.begin() + 1, groups.begin() + wanted,
                                      [](const re2::StringPiece& group) { return group.data() != nullptr; });
  if (took_part != groups.begin() + wanted) match.begin = place(*took_part);
  return match;
}

std::optional<Pattern::Match> Pattern::search(std::string_view text, size_t from, size_t to) const {
  return run(text, from, to, false);
}

bool Pattern::found(std::string_view text, size_t from, size_t to) const {
  return compiled_->Match(piece(text), from, to, re2::RE2::UNANCHORED, nullptr, 0);
}

std::optional<Pattern::Match> Pattern::match(std::string_view text) const { return run(text, 0, text.size(), true); }

bool Pattern::found_at_start(std::string_view text) const {
  return compiled_->Match(piece(text), 0, text.size(), re2::RE2::ANCHOR_START, nullptr, 0);
}

int32_t Pattern::instructions() const { return compiled_->ProgramSize(); }

const std::string& Pattern::text() const { return compiled_->pattern(); }

}  // namespace linnet

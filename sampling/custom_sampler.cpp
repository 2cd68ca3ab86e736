#include "sampling/custom_sampler.h"

#include <algorithm>
#include <utility>

#include "gguf/base/utf8.h"
#include "sampling/steps.h"

namespace linnet {

double CustomCandidates::random(uint32_t index) const {
  return static_cast<double>(source.random(stream, index)[0] >> 11) * 0x1p-53;
}

Status CustomSamplers::add(const std::string& name, CustomFactory factory) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  if (name.empty() || name.size() > kMaxNameBytes || !std::all_of(name.begin(), name.end(), allowed)) {
    return fail(Code::invalid_argument,
                "a custom sampler cannot be called {}: expected 1 to {} letters, digits, '_', '-' or '.'", quoted(name),
                kMaxNameBytes);
  }
  if (!factory) return fail(Code::invalid_argument, "the custom sampler {} has no function that makes it", name);
  const std::span<const std::string_view> steps = step_names();
  if (std::find(steps.begin(), steps.end(), name) != steps.end())
    return fail(Code::invalid_argument, "a custom sampler cannot be called {}: a step of Linnet has this name", name);
  if (!factories_.try_emplace(name, std::move(factory)).second)
    return fail(Code::invalid_argument, "there are two custom samplers called {}, expected one", name);
  return {};
}

const CustomFactory* CustomSamplers::find(std::string_view name) const {
  const auto found = factories_.find(name);
  return found == factories_.end() ? nullptr : &found->second;
}

std::vector<std::string_view> CustomSamplers::names() const {
  std::vector<std::string_view> all;
  for (const auto& [name, factory] : factories_) all.push_back(name);
  return all;
}

}  // namespace linnet

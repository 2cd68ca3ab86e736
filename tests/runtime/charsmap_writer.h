// Writes the normalization table of a SentencePiece model from sequences and their replacements (see charsmap.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace linnet {

class CharsmapWriter {
 public:
  using Rows = std::map<std::string, std::string>;
  explicit CharsmapWriter(const Rows& rows) {
    std::map<std::string, uint32_t> values;
    for (const auto& [sequence, replacement] : rows) {
      values[sequence] = uint32_t(replacements_.size());
      replacements_ += replacement + '\0';
    }
    reserve(0);
    place(0, "", values);
  }
  std::vector<uint8_t> bytes() const {
    std::vector<uint8_t> out;
    const auto put = [&](uint32_t value) {
      for (int i = 0; i < 4; ++i) out.push_back(uint8_t(value >> 8 * i));
    };
    put(uint32_t(units.size() * 4));
    for (const uint32_t unit : units) put(unit);
    out.insert(out.end(), replacements_.begin(), replacements_.end());
    return out;
  }

  std::vector<uint32_t> units;  // to be damaged

 private:
  void reserve(uint32_t index) {
    if (index >= units.size()) units.resize(index + 1), used_.resize(index + 1);
    used_[index] = true;
  }
  bool free(uint32_t index) const { return index >= used_.size() || !used_[index]; }

  // Gives the node at `index`, which `prefix` leads to, its children.
  void place(uint32_t index, const std::string& prefix, const std::map<std::string, uint32_t>& values) {
    std::vector<uint8_t> labels;  // 0: a sequence ends here
    for (const auto& row : values) {
      if (!row.first.starts_with(prefix)) continue;
      const uint8_t label = row.first.size() == prefix.size() ? 0 : uint8_t(row.first[prefix.size()]);
      if (labels.empty() || labels.back() != label) labels.push_back(label);
    }
    uint32_t base = 1;
    const auto fits = [&] {
      if (bases_.contains(base)) return false;
      for (const uint8_t label : labels) {
        if (!free(base ^ label)) return false;
      }
      return true;
    };
    while (!fits()) ++base;
    bases_.insert(base);
    for (const uint8_t label : labels) reserve(base ^ label);
    units[index] |= (index ^ base) << 10 | (labels[0] == 0 ? 0x100u : 0u);
    for (const uint8_t label : labels) {
      units[base ^ label] = label == 0 ? 0x80000000u | values.at(prefix) : label;
      if (label != 0) place(base ^ label, prefix + char(label), values);
    }
  }

  std::vector<bool> used_;
  std::set<uint32_t> bases_;  // no two nodes have the same
  std::string replacements_;
};

}  // namespace linnet

#include "capi/option_names.h"

#include "capi/options.h"

namespace linnet {
namespace {

bool separates(char c) { return c == '-' || c == '_' || c == '.'; }
char lower(char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); }

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replace = diagonal + (lower(a[i]) != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// Calls visit(name) for the key and each alias of a row until it returns true.
template <class Visit>
bool any_name(const OptionRow& row, bool inside, Visit visit) {
  return visit(row.key) || any_word(row.aliases, [&](std::string_view alias) {
           if (alias.front() != '.') return visit(alias);
           return inside && visit(alias.substr(1));
         });
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (true) {
    while (i < a.size() && separates(a[i])) ++i;
    while (j < b.size() && separates(b[j])) ++j;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (lower(a[i++]) != lower(b[j++])) return false;
  }
}

std::string_view option_group_name(OptionGroup group) { return option_groups()[static_cast<size_t>(group)].name; }

const OptionGroupRow* find_option_group(std::string_view name) {
  const auto is_name = [&](std::string_view known) { return same_name(name, known); };
  for (const OptionGroupRow& row : option_groups())
    if (is_name(row.name) || any_word(row.aliases, is_name)) return &row;
  return nullptr;
}

const OptionRow* find_option(std::string_view name, std::optional<OptionGroup> inside) {
  const size_t dot = name.find('.');
  if (dot != name.npos) {
    const OptionGroupRow* group = find_option_group(name.substr(0, dot));
    if (group) return find_option(name.substr(dot + 1), group->group);
  }
  const auto is_name = [&](std::string_view known) { return same_name(name, known); };
  for (const OptionRow& row : option_rows())
    if (any_name(row, inside == row.group, is_name)) return &row;
  return nullptr;
}

bool begins_option(std::string_view name) {
  const auto begins = [&](std::string_view known) {
    for (size_t at = known.find('_'); at != known.npos; at = known.find('_', at + 1))
      if (same_name(name, known.substr(0, at))) return true;
    return false;
  };
  for (const OptionRow& row : option_rows())
    if (any_name(row, false, begins)) return true;
  return false;
}

std::string nearest_option(std::string_view name) {
  constexpr size_t kLongest = 64;  // nothing longer is near to a known name
  if (name.size() > kLongest) return "";
  std::string best;
  size_t distance = std::max<size_t>(2, name.size() / 3) + 1;
  const auto consider = [&](std::string_view candidate) {
    const size_t d = edit_distance(name, candidate);
    if (d < distance) distance = d, best = std::string(candidate);
    return false;
  };
  for (const OptionRow& row : option_rows()) any_name(row, false, consider);
  for (const OptionGroupRow& group : option_groups()) {
    consider(group.name);
    any_word(group.aliases, consider);
  }
  return best;
}

}  // namespace linnet

// Reading one configuration text.
#include "capi/config.h"

#include <algorithm>

#include "capi/option_names.h"

namespace linnet {
namespace {

// Narrower than the table: ConfigRules::client_ranges.
constexpr struct {
  std::string_view key;
  double low, high;
  bool zero;  // is allowed too
} kClientRanges[] = {{"temp", 0, 2, true}, {"ctx_size", 128, 1073741824.0, true}};

// A JSON pointer to a member (RFC 6901), cut where the key is long.
std::string pointer_to(const std::string& object, std::string_view key) {
  std::string pointer = object + "/";
  for (const char c : shown_text(key)) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
  return pointer;
}

// "stopping.grammar_triggers[2].type" below "stopping.grammar_triggers" is "/2/type".
std::string pointer_inside(std::string_view name, std::string_view key) {
  const size_t at = name.find(key);
  if (at == name.npos) return "";
  std::string pointer;
  for (const char c : name.substr(at + key.size())) {
    if (c == ']') continue;
    pointer += c == '.' || c == '[' ? '/' : c;
  }
  return pointer;
}

class Reader {
 public:
  Reader(ConfigLayer layer, const ConfigRules& rules) : layer_(layer), rules_(rules) {}

  Result<Config> read(std::string_view text) {
    LINNET_CHECK(read_text(text));
    if (unlisted_ > 0) {
      config_.warnings.push_back({Code::option_unknown, "", fmt::format("{} more warnings are not listed", unlisted_)});
    }
    return std::move(config_);
  }

 private:
  enum class Kind { key, value };  // what is wrong

  Status read_text(std::string_view text);
  void look_for_strict(const Json& object, bool at_top);
  Status read_members(const Json& object, const std::string& prefix, std::optional<OptionGroup> inside,
                      const std::string& pointer);
  Status read_option(const OptionRow& row, const Json& value, bool at_home, const std::string& pointer);
  Status take(const OptionRow& row, const Json& value, const std::string& pointer, Options& values);
  Status check_inside(const OptionRow& row, const std::string& pointer, Options& values);
  // `instead`: what happens where this is no error.
  Status warn(Kind kind, Code code, const std::string& pointer, std::string sentence, std::string_view instead = "");
  bool keeps(const OptionRow& row, const Json& value) const;

  ConfigLayer layer_;
  ConfigRules rules_;
  Config config_;
  OptionSet at_home_;  // given in the object of their group: stronger than elsewhere
  size_t unlisted_ = 0;
  bool refused_ = false;  // an error that ends the reading was returned
};

Status Reader::warn(Kind kind, Code code, const std::string& pointer, std::string sentence, std::string_view instead) {
  ConfigWarning warning = {code, pointer, std::move(sentence)};
  if (rules_.strictness == Strictness::strict || (kind == Kind::value && rules_.strictness == Strictness::values)) {
    refused_ = true;
    return Error{code, warning.text()};
  }
  if (!instead.empty()) warning.sentence += fmt::format("; {}", instead);
  if (config_.warnings.size() + 1 < kMostConfigWarnings) {
    config_.warnings.push_back(std::move(warning));
  } else {
    ++unlisted_;
  }
  return {};
}

Status Reader::read_text(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; };
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  if (std::all_of(text.begin(), text.end(), is_space)) return {};
  std::vector<std::string> duplicates;
  const auto json = parse_json(text, &duplicates);
  if (!json && json.error().code == Code::out_of_memory) return json.error();
  if (!json) return warn(Kind::value, json.error().code, "", json.error().message, "nothing of it is read");
  if (!json->is_object()) {
    return warn(Kind::value, Code::json_type, "",
                fmt::format("the configuration is {}, expected an object of options", json->type_name()),
                "nothing of it is read");
  }
  look_for_strict(*json, true);
  for (const std::string& duplicate : duplicates) {
    LINNET_CHECK(warn(Kind::key, Code::json_syntax, shown_text(duplicate),
                      "this key stands twice in its object, expected once", "the first one counts"));
  }
  return read_members(*json, "", {}, "");
}

// Whether everything is an error must be known before the first warning.
void Reader::look_for_strict(const Json& object, bool at_top) {
  for (const auto& [key, value] : object.members()) {
    if (same_name(key, "strict") && value.is_boolean()) {
      if (*value.boolean()) rules_.strictness = Strictness::strict;
    } else if (at_top && value.is_object() && find_option_group(key)) {
      look_for_strict(value, false);
    }
  }
}

// Members of an object stand for themselves, whatever group they are in; {"dynatemp":{"range":0.1}} means
// dynatemp_range. `prefix`: the names of the objects around it, each with '_' behind it, without the group.
Status Reader::read_members(const Json& object, const std::string& prefix, std::optional<OptionGroup> inside,
                            const std::string& pointer) {
  for (const auto& [key, value] : object.members()) {
    const std::string at = pointer_to(pointer, key);
    const OptionGroupRow* group = prefix.empty() ? find_option_group(key) : nullptr;
    // The group "backend" has a namesake among the options, which is no object.
    if (group && value.is_object()) {
      LINNET_CHECK(read_members(value, "", group->group, at));
      continue;
    }
    const std::string name = prefix + key;
    if (const OptionRow* row = find_option(name, inside)) {
      LINNET_CHECK(read_option(*row, value, inside == row->group, at));
      continue;
    }
    if (value.is_object() && begins_option(name)) {
      LINNET_CHECK(read_members(value, name + "_", inside, at));
      continue;
    }
    if (group) {
      LINNET_CHECK(warn(Kind::value, Code::option_type, at,
                        fmt::format("{} is {}, expected an object of options", group->name, value.type_name())));
      continue;
    }
    const bool listed = config_.warnings.size() + 1 < kMostConfigWarnings;
    const std::string near = listed ? nearest_option(name) : "";
    LINNET_CHECK(
        warn(Kind::key, Code::option_unknown, at,
             fmt::format("there is no option \"{}\"; {}", shown_text(name),
                         near.empty() ? "linnet options lists them all" : fmt::format("did you mean \"{}\"?", near))));
  }
  return {};
}

// -1 of existing clients: what holds without this key shall hold.
bool Reader::keeps(const OptionRow& row, const Json& value) const {
  if (layer_ != ConfigLayer::request || row.member.index() > 1 || !value.is_number() || *value.number() != -1)
    return false;
  return row.low > -1 || (row.marks & kInherits);
}

Status Reader::read_option(const OptionRow& row, const Json& value, bool at_home, const std::string& pointer) {
  if (keeps(row, value)) return {};
  Options read;  // only this option of it
  Status taken = take(row, value, pointer, read);
  if (taken) taken = check_inside(row, pointer, read);
  if (refused_) return taken;
  if (!taken) return warn(Kind::value, taken.error().code, pointer, taken.error().message, "it is left as it was");
  const size_t index = option_index(row);
  if (config_.given[index]) {
    const bool replaces = at_home && !at_home_[index];
    if (!same_value(row, read, config_.values)) {
      LINNET_CHECK(warn(Kind::key, Code::json_syntax, pointer,
                        fmt::format("{} is given here and at {}, expected once", row.key, config_.pointers[index]),
                        replaces ? "what stands here counts" : "what stands there counts"));
    }
    if (!replaces) return {};
  }
  copy_option(row, read, config_.values);
  config_.given[index] = true;
  at_home_[index] = at_home;
  config_.pointers[index] = pointer;
  if (!(row.marks & kPlanned)) return {};
  return warn(Kind::key, Code::unsupported, pointer,
              fmt::format("{} is known but has no effect in this version", row.key));
}

// The value of one option. An error says what is wrong with it; clamping is a warning.
Status Reader::take(const OptionRow& row, const Json& value, const std::string& pointer, Options& values) {
  if (rules_.client_ranges && value.is_number()) {
    for (const auto& range : kClientRanges) {
      const double number = *value.number();
      if (range.key != row.key || (number >= range.low && number <= range.high) || (range.zero && number == 0))
        continue;
      return fail(Code::option_range, "{} is {}, expected {} to {}", row.key, number, range.low, range.high);
    }
  }
  const Status set = set_option(values, row, value);
  if (set || set.error().code != Code::option_range || !(row.marks & kClamped)) return set;
  const double number = *value.number();
  if (!(number >= 0) || rules_.strictness != Strictness::lenient) return set;
  const double nearest = std::clamp(number, row.low, row.high);
  LINNET_CHECK(set_option(values, row, std::string_view(fmt::format("{}", nearest))));
  return warn(Kind::value, Code::option_range, pointer, set.error().message, fmt::format("{} is taken", nearest));
}

// Of an option that is JSON: what is wrong inside is taken out, or the option is left as it was.
Status Reader::check_inside(const OptionRow& row, const std::string& pointer, Options& values) {
  const auto* member = std::get_if<JsonText Options::*>(&row.member);
  if (!member) return {};
  SkippedJson skipped;
  const Status checked = check_json_option(row, values, &skipped);
  for (const SkippedJsonPart& part : skipped) {
    LINNET_CHECK(warn(part.error.code == Code::option_unknown ? Kind::key : Kind::value, part.error.code,
                      pointer + pointer_inside(part.name, row.key), part.error.message, "it is left out"));
  }
  if (!checked || skipped.empty()) return checked;
  LINNET_TRY(const Json json, parse_json((values.*(*member)).text));
  const std::string group = row.group == OptionGroup::stopping ? "stopping." : "";
  (values.*(*member)).text = json_without(json, group + std::string(row.key), skipped);
  return {};
}

}  // namespace

size_t option_index(const OptionRow& row) { return static_cast<size_t>(&row - option_rows().data()); }

Result<Config> read_config(std::string_view text, ConfigLayer layer, const ConfigRules& rules) {
  return Reader(layer, rules).read(text);
}

}  // namespace linnet

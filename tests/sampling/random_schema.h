// Random JSON Schemas of all keywords that become grammars, and random texts that are mostly valid against one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gguf/base/json.h"
#include "tests/support.h"

namespace linnet {

class RandomSchema {
 public:
  explicit RandomSchema(Random& random) : random_(random) {}
  // The text of a schema with "$defs" that it may refer to.
  std::string make();
  std::map<std::string, int> keywords;  // how often each was written

 private:
  std::string schema(int depth);
  std::string one_of(int depth);
  void typed(std::vector<std::string>& members, int depth);
  void number(std::vector<std::string>& members);
  void string(std::vector<std::string>& members);
  void array(std::vector<std::string>& members, int depth);
  void object(std::vector<std::string>& members, int depth);
  void add(std::vector<std::string>& members, const std::string& keyword, const std::string& value);
  bool chance(int percent) { return random_.below(100) < percent; }
  std::string name();
  std::string number_text();
  std::string list(int64_t count, int depth);

  Random& random_;
  std::string definitions_ = "$defs";  // the keyword that references go through
};

// Objects have their members in the order in which the grammar wants them; white space is one of a few styles.
class RandomValue {
 public:
  RandomValue(const Json& root, Random& random) : root_(root), random_(random), style_(random.below(3)) {}
  std::string make() { return value({&root_}, 0); }

 private:
  std::string value(std::vector<const Json*> goal, int depth);
  std::string anything();
  std::string number(const std::vector<const Json*>& all, bool integer);
  std::string string(const std::vector<const Json*>& all);
  std::string array(const std::vector<const Json*>& all, int depth);
  std::string object(const std::vector<const Json*>& all, int depth);
  std::string enclose(char open, const std::vector<std::string>& parts, char close, int depth) const;
  bool chance(int percent) { return random_.below(100) < percent; }

  const Json& root_;
  Random& random_;
  const int64_t style_;
};

}  // namespace linnet

// Chat templates of public models against reference renderings, byte for byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/runtime/template_support.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string member(const Json& json, const char* key) { return std::string(*json.find(key)->string()); }

TEST(Template, ReferenceRenderings) {
  const auto folder = shared_data("templates");
  if (!folder) GTEST_SKIP() << "no reference data";
  int templates = 0, cases = 0, errors = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (!entry.path().string().ends_with(".cases.json")) continue;
    ++templates;
    const auto reference = parse_json(read(entry.path()));
    ASSERT_TRUE(reference) << entry.path();
    const auto made = ChatTemplate::compile(read(*folder + "/" + member(*reference, "template")));
    ASSERT_TRUE(made) << entry.path() << ": " << made.error().message;
    for (const Json& c : reference->find("cases")->elements()) {
      ++cases;
      JsonWriter w;
      w.begin_object();
      w.member("messages", *reference->find("conversations")->find(*c.find("conversation")->string()));
      w.member("add_generation_prompt", *c.find("add_generation_prompt"));
      if (*c.find("tools")->boolean()) w.member("tools", *reference->find("tools"));
      w.member("bos_token", *reference->find("bos_token")).member("eos_token", *reference->find("eos_token"));
      const auto variables = parse_json(w.end_object().text());
      ASSERT_TRUE(variables);
      const auto text = made->render(*variables, test_options());
      if (c.find("error") != nullptr) {
        ++errors;
        EXPECT_FALSE(text) << entry.path() << " " << member(c, "conversation");
        continue;
      }
      ASSERT_TRUE(text) << entry.path() << " " << member(c, "conversation") << ": " << text.error().message;
      EXPECT_EQ(*text, member(c, "rendered")) << entry.path() << " " << member(c, "conversation");
    }
  }
  EXPECT_GE(cases, 150);
  std::printf("%d cases of %d templates, %d of them errors\n", cases, templates, errors);
}

}  // namespace
}  // namespace linnet

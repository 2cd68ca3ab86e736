#include "capi/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace linnet {
namespace {

TEST(Options, NamesAreUniqueAndFound) {
  std::set<std::string> seen;
  for (const OptionRow& row : option_rows()) {
    EXPECT_TRUE(seen.insert(std::string(row.key)).second) << row.key << " stands twice";
    EXPECT_EQ(find_option(row.key), &row);
    EXPECT_EQ(find_option(std::string(option_group_name(row.group)) + "." + std::string(row.key)), &row);
    EXPECT_FALSE(row.sentence.empty()) << row.key;
  }
  EXPECT_EQ(find_option("Top-K"), find_option("top_k"));
  EXPECT_EQ(find_option("n_predict"), find_option("max_tokens"));
  EXPECT_EQ(find_option("nonsense"), nullptr);
  EXPECT_EQ(nearest_option("temprature"), "temperature");
}

// Every default lies in its own range, and every bound is enforced.
TEST(Options, RangesHold) {
  for (const OptionRow& row : option_rows()) {
    Options options;
    if (row.member.index() > 1) continue;
    EXPECT_TRUE(set_option(options, row, option_value(row, options))) << row.key;
    const auto outside = [&](double value) {
      const std::string text = row.member.index() == 0 ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
      const auto status = set_option(options, row, text);
      EXPECT_FALSE(status) << row.key << " takes " << text;
      if (!status) {
        EXPECT_EQ(status.error().code, Code::option_range);
        EXPECT_NE(status.error().message.find(row.key), std::string::npos);
      }
    };
    outside(row.low - 1);
    outside(row.high + std::max(1.0, row.high * 0.5));
    for (const char* bad : {"", "x", "1x", "nan", "inf", "--", "1e999"}) {
      const auto status = set_option(options, row, bad);
      EXPECT_FALSE(status) << row.key << " takes \"" << bad << "\"";
    }
  }
}

TEST(Options, DocsPageIsTheTable) {
  std::ifstream in(LINNET_SOURCE_DIR "/docs/options.md");
  const std::string page(std::istreambuf_iterator<char>(in), {});
  EXPECT_NE(page.find(options_markdown()), std::string::npos) << "docs/options.md is old: run ./dev docs";
}

}  // namespace
}  // namespace linnet

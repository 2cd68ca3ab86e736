#include "tools/load_page.h"

#include <algorithm>

#include "gguf/base/math.h"
#include "tools/markup.h"

namespace linnet {
namespace {

// Pixels.
constexpr int kLeft = 80, kTop = 40, kWide = 640, kHigh = 220, kGap = 70;

struct Line {
  const char* name;
  const char* colour;
  double (*height)(const LoadResult&);
};

constexpr Line kRates[] = {
    {"tokens/s", "#2a6fb0", [](const LoadResult& r) { return r.tokens_per_second(); }},
};
constexpr Line kTimes[] = {
    {"first token p50", "#4a9a5a", [](const LoadResult& r) { return r.first_token_ms.p50; }},
    {"first token p99", "#1d5a2b", [](const LoadResult& r) { return r.first_token_ms.p99; }},
    {"per token p50", "#d08a3a", [](const LoadResult& r) { return r.per_token_ms.p50; }},
    {"per token p99", "#8f4d10", [](const LoadResult& r) { return r.per_token_ms.p99; }},
};

// Three digits that matter, without an exponent.
std::string digits(double value) { return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value); }

// One chart: levels side by side at equal distances, heights on a logarithmic scale where `logarithmic`.
std::string chart(std::span<const LoadResult> results, std::span<const Line> lines, const char* title, bool logarithmic,
                  int top) {
  double low = 0, high = 1e-9;
  for (const LoadResult& r : results)
    for (const Line& line : lines) high = std::max(high, line.height(r));
  if (logarithmic) {
    low = high / 10;
    for (const LoadResult& r : results)
      for (const Line& line : lines)
        if (line.height(r) > 0) low = std::min(low, line.height(r));
  }
  const auto share = [&](double v) {
    if (!logarithmic) return v / high;
    return std::max(0.0, math::log(std::max(v, low) / low)) / math::log(high / low);
  };
  const auto value = [&](double s) { return logarithmic ? low * math::exp(s * math::log(high / low)) : s * high; };
  const auto y = [&](double v) { return top + kHigh * (1 - share(v)); };
  const auto x = [&](size_t i) {
    return kLeft + (static_cast<double>(i) + 0.5) * kWide / static_cast<double>(results.size());
  };
  std::string out = fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", kLeft, top - 12, title);
  for (int i = 0; i <= 4; ++i)
    out += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/><text x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5}</text>\n",
        kLeft, kLeft + kWide, top + kHigh * (1 - i / 4.0), kLeft - 6, top + kHigh * (1 - i / 4.0) + 4,
        digits(value(i / 4.0)));
  for (size_t i = 0; i < results.size(); ++i)
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(i), top + kHigh + 18,
                       results[i].sessions);
  for (size_t l = 0; l < lines.size(); ++l) {
    std::string points;
    for (size_t i = 0; i < results.size(); ++i) {
      const double v = lines[l].height(results[i]);
      points += fmt::format("{:.1f},{:.1f} ", x(i), y(v));
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"><title>{}, {} sessions: {:.4g}</title>"
          "</circle>\n",
          x(i), y(v), lines[l].colour, lines[l].name, results[i].sessions, v);
    }
    out += fmt::format(
        "<polyline fill=\"none\" stroke=\"{0}\" stroke-width=\"1.5\" points=\"{1}\"/>\n"
        "<text x=\"{2}\" y=\"{3}\" fill=\"{0}\">{4}</text>\n",
        lines[l].colour, points, kLeft + kWide + 12, top + 14 + 18 * static_cast<int>(l), lines[l].name);
  }
  return out;
}

std::string table(std::span<const LoadResult> results) {
  std::string out =
      "<table>\n<tr><th>sessions</th><th>requests</th><th>cancelled</th><th>errors</th><th>tokens/s</th>"
      "<th>queue p50 / p90 / p99 (ms)</th><th>first token (ms)</th><th>per token (ms)</th><th>resident "
      "(MiB)</th></tr>\n";
  const auto cell = [](const Quantiles& q) {
    return fmt::format("<td>{:.1f} / {:.1f} / {:.1f}</td>", q.p50, q.p90, q.p99);
  };
  for (const LoadResult& r : results) {
    std::string errors;
    for (const auto& [code, n] : r.errors) errors += fmt::format("{}{} {}", errors.empty() ? "" : ", ", n, code);
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f}</td>{}{}{}<td>{:.1f} to {:.1f}</td></tr>\n",
        r.sessions, r.requests, r.cancelled, errors.empty() ? "none" : markup_escaped(errors), r.tokens_per_second(),
        cell(r.queue_ms), cell(r.first_token_ms), cell(r.per_token_ms),
        static_cast<double>(r.memory_start.resident) / (1 << 20),
        static_cast<double>(r.memory_end.resident) / (1 << 20));
  }
  return out + "</table>\n";
}

}  // namespace

std::string load_picture(std::span<const LoadResult> results) {
  const int second = kTop + kHigh + kGap, wide = kLeft + kWide + 160, high = second + kHigh + 50;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n",
      wide, high);
  if (!results.empty()) {
    out += chart(results, kRates, "generated tokens a second, all sessions together", false, kTop);
    out += chart(results, kTimes, "milliseconds (logarithmic)", true, second);
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">sessions</text>\n", kLeft + kWide / 2,
                       second + kHigh + 38);
  }
  return out + "</svg>\n";
}

std::string load_page(std::span<const LoadResult> results, const std::string& title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"/><title>{0}</title>\n"
      "<style>body{{font:13px sans-serif;margin:2em}}td,th{{padding:0 1em 0 0;text-align:right}}</style></head><body>\n"
      "<h1>{0}</h1>\n{1}{2}</body></html>\n",
      markup_escaped(title), load_picture(results), table(results));
}

}  // namespace linnet

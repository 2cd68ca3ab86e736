#include "tools/sampling_page.h"

#include <algorithm>

#include "gguf/base/math.h"
#include "tools/markup.h"

namespace linnet {
namespace {

// Pixels.
constexpr int kLeft = 60, kChart = 150, kGap = 50, kBar = 620, kBarLeft = 330, kRow = 18;
constexpr std::string_view kStays = "#4a9a5a", kOthers = "#e4e4e4";

// Steps in colours far from each other and from that of what stays.
std::string colour(size_t step, size_t steps) {
  return fmt::format("hsl({},62%,52%)", 170 + step * 300 / std::max<size_t>(steps, 1));
}

// A measure of every step at every position, as one line per step.
struct Chart {
  const char* title;
  double most;  // at the top
  std::function<double(const StepTrace&)> height;
  std::function<std::string(double)> label;  // of a height
};

std::string drawn(const RecordingTrace& trace, const Chart& chart, int top, double wide) {
  std::string out = fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", kLeft, top - 8, chart.title);
  const auto y = [&](double height) { return top + kChart * (1 - height / chart.most); };
  for (int i = 0; i <= 4; ++i) {
    const double height = chart.most * i / 4;
    out += fmt::format(
        "<line x1=\"{0}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, kLeft + wide * static_cast<double>(trace.positions.size()), y(height), kLeft - 6, y(height) + 4,
        chart.label(height));
  }
  const size_t steps = trace.positions.front().steps.size();
  for (size_t s = 0; s < steps; ++s) {
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"", colour(s, steps));
    for (size_t i = 0; i < trace.positions.size(); ++i) {
      const double height = chart.height(trace.positions[i].steps[s]);
      // A stair, so that a run of one position is seen.
      for (const size_t side : {i, i + 1})
        out += fmt::format("{:.1f},{:.1f} ", kLeft + wide * static_cast<double>(side), y(height));
    }
    out += fmt::format("\"><title>{}</title></polyline>\n", markup_escaped(trace.positions.front().steps[s].step));
  }
  return out;
}

std::string legend(const RecordingTrace& trace, int y) {
  const auto& steps = trace.positions.front().steps;
  std::string out;
  int x = kLeft;
  for (size_t s = 0; s < steps.size(); ++s) {
    out += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>\n", x, y,
        colour(s, steps.size()), x + 16, y + 11, markup_escaped(steps[s].step));
    x += 34 + 8 * static_cast<int>(steps[s].step.size());
  }
  return out;
}

std::string svg_open(double width, double height) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n",
      width, height);
}

// One row: what the text goes on with, and the bar.
std::string position_row(const PositionTrace& at, const TokenText& text, int y) {
  std::string out = fmt::format("<text x=\"0\" y=\"{}\">{}</text><text x=\"60\" y=\"{}\">{}</text>\n", y + 13,
                                at.position, y + 13, markup_token(text(at.token)));
  if (at.picked != at.token && at.picked >= 0)
    out +=
        fmt::format("<text x=\"190\" y=\"{}\" fill=\"#a33\">picks {}</text>\n", y + 13, markup_token(text(at.picked)));
  double x = kBarLeft, rest = 1;
  const auto part = [&](double p, std::string_view fill, std::string_view title, bool framed) {
    out += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"{}><title>{}</title></rect>\n", x, y + 1,
        p * kBar, kRow - 3, fill, framed ? " stroke=\"#000\" stroke-width=\"1.5\"" : "", title);
    x += p * kBar;
    rest -= p;
  };
  for (const TracedToken& t : at.top) {
    const bool stays = t.removed_by < 0;
    const auto step = static_cast<size_t>(std::max(t.removed_by, 0));
    const std::string fate = stays ? fmt::format("stays, p {:.4f}", t.p_left)
                                   : fmt::format("removed by {}", markup_escaped(at.steps[step].step));
    part(t.p, stays ? std::string(kStays) : colour(step, at.steps.size()),
         fmt::format("{} ({}): p {:.4f}, {}", markup_token(text(t.id)), t.id, t.p, fate), t.id == at.token);
  }
  if (rest > 0.0005) part(rest, kOthers, fmt::format("all other tokens: p {:.4f}", rest), false);
  return out;
}

std::string summary(const RecordingTrace& trace) {
  std::string out =
      "<table>\n<tr><th>step</th><th>kept (median)</th><th>mass kept (mean)</th><th>entropy (mean)</th>"
      "<th>p of the recorded token (mean)</th></tr>\n";
  const std::vector<StepSummary> rows = summarize(trace);
  for (size_t i = 0; i < rows.size(); ++i)
    out += fmt::format(
        "<tr><td><span style=\"background:{}\">&#160;&#160;</span> {}</td><td>{}</td><td>{:.6f}</td><td>{:.4f}</td>"
        "<td>{:.6f}</td></tr>\n",
        colour(i, rows.size()), markup_escaped(rows[i].step), rows[i].kept, rows[i].mass, rows[i].entropy, rows[i].p);
  return out + "</table>\n";
}

std::string positions(const RecordingTrace& trace, const TokenText& text) {
  std::string out = svg_open(kBarLeft + kBar + 4, static_cast<double>(trace.positions.size()) * kRow + 4);
  for (size_t i = 0; i < trace.positions.size(); ++i)
    out += position_row(trace.positions[i], text, static_cast<int>(i) * kRow);
  return out + "</svg>\n";
}

}  // namespace

std::string sampling_picture(const RecordingTrace& trace) {
  if (trace.positions.empty()) return svg_open(kLeft, kGap) + "</svg>\n";
  const double wide = std::clamp(900.0 / static_cast<double>(trace.positions.size()), 2.0, 40.0);
  double kept = 1, entropy = 0.1;
  for (const PositionTrace& at : trace.positions) {
    for (const StepTrace& s : at.steps) {
      kept = std::max(kept, static_cast<double>(s.kept));
      entropy = std::max(entropy, s.entropy);
    }
  }
  const Chart candidates = {"candidates kept", std::max(math::log(kept), 0.1),
                            [](const StepTrace& s) { return math::log(std::max(1.0, static_cast<double>(s.kept))); },
                            [](double height) { return fmt::format("{:.0f}", math::exp(height)); }};
  const Chart entropies = {"entropy (nats)", entropy, [](const StepTrace& s) { return s.entropy; },
                           [](double height) { return fmt::format("{:.2f}", height); }};
  const int second = 2 * kGap + kChart;
  return svg_open(std::max(900.0, 2 * kLeft + wide * static_cast<double>(trace.positions.size())),
                  second + kChart + kGap) +
         drawn(trace, candidates, kGap, wide) + drawn(trace, entropies, second, wide) +
         legend(trace, second + kChart + 20) + "</svg>\n";
}

std::string sampling_page(const RecordingTrace& trace, const TokenText& text) {
  std::string chain;
  for (const std::string& step : trace.chain) chain += (chain.empty() ? "" : ", ") + markup_escaped(step);
  const std::string ended =
      trace.ended.empty() ? "" : "<p>Ended before the recording does: " + markup_escaped(trace.ended) + "</p>\n";
  return fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"/><title>A sampler chain on a recorded run</title>\n"
      "<style>body{{font:13px sans-serif;margin:2em}}td,th{{padding:0 1em 0 0;text-align:right}}"
      "td:first-child,th:first-child{{text-align:left}}</style></head><body>\n"
      "<h1>A sampler chain on a recorded run</h1>\n<p>{}</p>\n"
      "<p>Seed {}. The chain picks the recorded token at {} of {} positions.</p>\n{}{}{}"
      "<h2>Positions</h2>\n<p>A bar is the distribution of the logits: a token is as wide as it is likely, in <span "
      "style=\"background:{}\">this colour</span> if it stays to the end, else in that of the step that removed it. "
      "The recorded token is framed; point at one to read it.</p>\n{}</body></html>\n",
      chain, trace.seed, agreements(trace), trace.positions.size(), ended, summary(trace), sampling_picture(trace),
      kStays, positions(trace, text));
}

}  // namespace linnet

#include "tools/model_page.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/ranges.h>

#include "tools/markup.h"

namespace linnet {
namespace {

constexpr int kWidth = 1000, kRow = 18;  // pixels

// "blk.12.attn_q.weight" is in row "blk.12"; what belongs to no layer has a row of its own name.
std::string row_of(std::string_view name) {
  const size_t dot = name.find('.');
  if (name.substr(0, dot) != "blk") return std::string(name.substr(0, dot));
  return std::string(name.substr(0, name.find('.', dot + 1)));
}

struct Row {
  std::string name;
  uint64_t bytes = 0;
  std::vector<const Tensor*> tensors;
};

// Rows in file order of their first tensor.
std::vector<Row> rows_of(const Gguf& file) {
  std::vector<Row> rows;
  std::map<std::string, size_t> index;
  for (const Tensor& t : file.tensors()) {
    const std::string name = row_of(t.name);
    const auto [at, fresh] = index.emplace(name, rows.size());
    if (fresh) rows.push_back({name, 0, {}});
    rows[at->second].bytes += t.bytes;
    rows[at->second].tensors.push_back(&t);
  }
  return rows;
}

// Types in the order of their bytes, with a colour each.
struct Palette {
  std::map<Type, uint64_t> bytes;

  explicit Palette(const Gguf& file) {
    for (const Tensor& t : file.tensors()) bytes[t.type] += t.bytes;
  }
  std::string colour(Type type) const {
    const auto at = std::distance(bytes.begin(), bytes.find(type));
    return fmt::format("hsl({},55%,62%)", at * 360 / static_cast<int64_t>(bytes.size()));
  }
  std::string legend(uint64_t all) const {
    std::string out;
    for (const auto& [type, sum] : bytes)
      out += fmt::format("<span style=\"background:{}\">{}: {} bytes, {:.1f} %</span> ", colour(type),
                         type_info(type)->name, sum, 100.0 * static_cast<double>(sum) / static_cast<double>(all));
    return out;
  }
};

std::string drawing(const std::vector<Row>& rows, const Palette& palette) {
  uint64_t widest = 1;
  for (const Row& row : rows) widest = std::max(widest, row.bytes);
  std::string out = fmt::format("<svg width=\"{}\" height=\"{}\">\n", kWidth + 160, rows.size() * kRow);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto y = static_cast<int>(i) * kRow;
    out += fmt::format("<text x=\"0\" y=\"{}\">{}</text>\n", y + 13, markup_escaped(rows[i].name));
    double x = 160;
    for (const Tensor* t : rows[i].tensors) {
      const double width = static_cast<double>(t->bytes) / static_cast<double>(widest) * kWidth;
      out += fmt::format(
          "<rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"><title>{}\n{} {}, {} "
          "bytes</title></rect>\n",
          x, y + 1, width, kRow - 2, palette.colour(t->type), markup_escaped(t->name), type_info(t->type)->name,
          fmt::join(t->dims.begin(), t->dims.begin() + t->n_dims, " x "), t->bytes);
      x += width;
    }
  }
  return out + "</svg>\n";
}

std::string table(const Gguf& file) {
  std::string out = "<table>\n";
  for (const Tensor& t : file.tensors())
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n", markup_escaped(t.name),
                       type_info(t.type)->name, fmt::join(t.dims.begin(), t.dims.begin() + t.n_dims, " x "), t.bytes);
  return out + "</table>\n";
}

}  // namespace

std::string model_page(const Gguf& file, const std::string& title) {
  const Palette palette(file);
  uint64_t all = 0;
  for (const Tensor& t : file.tensors()) all += t.bytes;
  const auto name = file.string_or("general.name", "");
  const auto architecture = file.string_or("general.architecture", "unknown");
  return fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>body{{font:13px sans-serif;margin:2em}}span{{padding:2px 6px}}rect{{stroke:#fff;stroke-width:.5}}"
      "td{{padding:0 1em 0 0}}.n{{text-align:right}}</style></head><body>\n"
      "<h1>{0}</h1>\n<p>{1} {2}: {3} tensors, {4} bytes of weights. A row is a layer, a rectangle a tensor; "
      "point at one to read it.</p>\n<p>{5}</p>\n{6}{7}</body></html>\n",
      markup_escaped(title), markup_escaped(name ? *name : ""), markup_escaped(architecture ? *architecture : ""),
      file.tensors().size(), all, palette.legend(std::max<uint64_t>(all, 1)), drawing(rows_of(file), palette),
      table(file));
}

}  // namespace linnet

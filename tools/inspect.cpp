// linnet inspect and linnet validate: what is in a file, and whether it is sound.
#include <cstdio>

#include <fmt/ranges.h>

#include "gguf/base/json.h"
#include "gguf/value_check.h"
#include "runtime/chat_format.h"
#include "tools/commands.h"
#include "tools/model_page.h"

namespace linnet {
namespace {

// Arrays longer than this show their length instead of their elements.
constexpr uint64_t kShownElements = 8;

std::string element_text(const Value& value, uint64_t i) {
  if (value.element == ValueType::boolean) return value.integer(i) ? "true" : "false";
  if (value.is_integer()) return fmt::format("{}", value.integer(i));
  return fmt::format("{}", value.number(i));
}

std::string value_text(const Value& value) {
  if (value.type == ValueType::string) return json_quote(value.string());
  if (value.type != ValueType::array) return element_text(value, 0);
  if (value.count > kShownElements || value.element == ValueType::array)
    return fmt::format("\"{} x {}\"", value.count, value_type_name(value.element));
  std::string out = "[";
  const auto add = [&out](const std::string& text) { out += (out.size() > 1 ? "," : "") + text; };
  if (value.element == ValueType::string) {
    for (const std::string_view text : value.strings()) add(json_quote(text));
  } else {
    for (uint64_t i = 0; i < value.count; ++i) add(element_text(value, i));
  }
  return out + "]";
}

class Inspect : public Command {
 public:
  const char* name() const override { return "inspect"; }
  const char* summary() const override { return "show metadata and tensors of a GGUF file"; }

  void declare(Arguments& args) override {
    add_model(args);
    add_option(args, *find_option("chat_template"));
    args.flag("--checksums", checksums_,
              "show each tensor's XXH64, and whether it is the one in the file (reads all data)");
    args.option("--html", html_, "write a page with the size of every tensor drawn to this file");
    add_json(args, "print one JSON object");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const Gguf file, Gguf::open(path));
    LINNET_CHECK(read_template(file));
    if (!html_.empty()) {
      LINNET_CHECK(write_file(html_, model_page(file, path)));
      return kDone;
    }
    if (json_) return print_json(file);
    fmt::print("GGUF version {}, {} bytes in {} file(s), alignment {}, {} keys, {} tensors\n\n", file.version(),
               file.file_bytes(), file.shards(), file.alignment(), file.values().size(), file.tensors().size());
    for (const Value& value : file.values()) fmt::print("{:44} {}\n", value.key, shortened(value_text(value)));
    fmt::print("\nchat template: {}{}\n\n", template_source_name(template_source_),
               template_problem_.empty() ? "" : "; " + template_problem_);
    for (const Tensor& t : file.tensors())
      fmt::print("{:32} {:7} {:>20} {:>12} bytes at {:>12}{}\n", t.name, type_info(t.type)->name,
                 fmt::format("{}", fmt::join(t.dims.begin(), t.dims.begin() + t.n_dims, " x ")), t.bytes, t.offset,
                 checksum_text(file, t));
    return kDone;
  }

 private:
  // Which template counts, and whether it can be read.
  Status read_template(const Gguf& file) {
    LINNET_TRY(const std::string chosen, chosen_template());
    LINNET_TRY(const std::string_view own, file.string_or("tokenizer.chat_template", ""));
    const std::string_view named = built_in_template(chosen.empty() ? "chatml" : chosen);
    template_source_ = !chosen.empty() ? TemplateSource::option
                       : own.empty()   ? TemplateSource::built_in
                                       : TemplateSource::file;
    const bool own_counts = template_source_ == TemplateSource::file;
    const auto made = ChatTemplate::compile(own_counts ? own : named.empty() ? std::string_view(chosen) : named);
    if (!made) template_problem_ = made.error().message;
    return {};
  }

  static std::string shortened(const std::string& text) {
    return text.size() <= 160 ? text : text.substr(0, 157) + "...";
  }

  std::string checksum_text(const Gguf& file, const Tensor& t) const {
    if (!checksums_) return "";
    const uint64_t sum = Gguf::checksum(t);
    const auto stored = file.stored_checksum(t);
    return fmt::format("  {:016x} {}", sum,
                       !stored          ? "(none stored)"
                       : *stored == sum ? "ok"
                                        : "DIFFERS from the stored one");
  }

  Result<int> print_json(const Gguf& file) const {
    std::string out = fmt::format("{{\"version\":{},\"bytes\":{},\"shards\":{},\"alignment\":{},\"metadata\":{{",
                                  file.version(), file.file_bytes(), file.shards(), file.alignment());
    const char* comma = "";
    for (const Value& value : file.values()) {
      out += fmt::format("{}{}:{}", comma, json_quote(value.key), value_text(value));
      comma = ",";
    }
    out += fmt::format("}},\"chat_template\":{{\"source\":{},\"problem\":{}}},\"tensors\":[",
                       json_quote(template_source_name(template_source_)),
                       template_problem_.empty() ? "null" : json_quote(template_problem_));
    comma = "";
    for (const Tensor& t : file.tensors()) {
      out += fmt::format("{}{{\"name\":{},\"type\":\"{}\",\"dims\":[{}],\"bytes\":{},\"offset\":{},\"shard\":{}", comma,
                         json_quote(t.name), type_info(t.type)->name,
                         fmt::join(t.dims.begin(), t.dims.begin() + t.n_dims, ","), t.bytes, t.offset, t.shard);
      if (checksums_) out += fmt::format(",\"xxh64\":\"{:016x}\"", Gguf::checksum(t));
      if (const auto stored = file.stored_checksum(t); checksums_ && stored)
        out += fmt::format(",\"stored_xxh64\":\"{:016x}\"", *stored);
      out += "}";
      comma = ",";
    }
    LINNET_CHECK(write_stdout(out + "]}\n"));
    return kDone;
  }

  bool checksums_ = false;
  TemplateSource template_source_ = TemplateSource::built_in;
  std::string template_problem_;
  std::string html_;
};

class Validate : public Command {
 public:
  const char* name() const override { return "validate"; }
  const char* summary() const override { return "check a model file completely, values and checksums included"; }

  void declare(Arguments& args) override {
    add_model(args);
    add_json(args, "print one JSON object");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const auto model, Model::load(path));
    LINNET_CHECK(check_data(model->file()));
    LINNET_TRY(const auto forward, Forward::create(*model, {.threads = 1, .max_rows = 1, .max_context = 64}));
    const Gguf& file = model->file();
    const bool sums = file.find(kChecksumKey) != nullptr;
    if (json_) {
      std::string warnings;
      for (const std::string& warning : model->warnings)
        warnings += (warnings.empty() ? "" : ",") + json_quote(warning);
      fmt::print(
          "{{\"valid\":true,\"architecture\":{},\"tensors\":{},\"bytes\":{},\"checksums\":{},\"warnings\":[{}]}}\n",
          json_quote(model->facts.architecture), file.tensors().size(), file.file_bytes(), sums, warnings);
    } else {
      for (const std::string& warning : model->warnings) fmt::print(stderr, "warning: {}\n", warning);
      fmt::print("valid: {} model, {} tensors, {} bytes; all values finite; {}\n", model->facts.architecture,
                 file.tensors().size(), file.file_bytes(),
                 sums ? "all checksums right" : "the file carries no checksums");
    }
    return kDone;
  }

 private:
  // Reads all tensor data: values finite, checksums (where the file has them) right. Tensor by tensor, for the progress.
  static Status check_data(const Gguf& file) {
    const bool sums = file.find(kChecksumKey) != nullptr;
    uint64_t done = 0;
    Progress progress("validating");
    for (const Tensor& t : file.tensors()) {
      LINNET_CHECK(check_values(t));
      const auto stored = file.stored_checksum(t);
      if (sums && !stored)
        return fail(Code::gguf_checksum, "{} does not hold one u64 for each of the {} tensors", kChecksumKey,
                    file.tensors().size());
      if (const uint64_t actual = Gguf::checksum(t); stored && *stored != actual)
        return fail(Code::gguf_checksum,
                    "tensor {}: its {} bytes at offset {} have the checksum {:016x}; the file says {:016x}: the data "
                    "changed since they were written",
                    t.name, t.bytes, t.offset, actual, *stored);
      if (interrupted())
        return fail(Code::cancelled, "interrupted before all of {} bytes were checked", file.file_bytes());
      done += t.bytes;
      progress.update(static_cast<double>(done) / static_cast<double>(file.file_bytes()));
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Command> make_inspect() { return std::make_unique<Inspect>(); }
std::unique_ptr<Command> make_validate() { return std::make_unique<Validate>(); }

}  // namespace linnet

#include "capi/sampler_library.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "capi/linnet_sampler.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr uint32_t kMostSamplers = 256;

// A kind of sampler, and the library that must not go before it does.
struct Kind {
  std::shared_ptr<const os::SharedLibrary> library;
  std::string name;
  linnet_sampler functions;  // a copy: what the library does to its table later changes nothing
};

// What a C function leaves as a sentence.
class Message {
 public:
  char* data() { return text_.data(); }
  size_t bytes() const { return text_.size(); }
  // Control characters, which would break lines of logs, become spaces.
  std::string text() {
    text_.back() = 0;
    std::string out = utf8_replace_invalid(text_.data());
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, ' ');
    return out;
  }
  Status status(int32_t code) {
    if (code == 0) return {};
    const std::string said = text();
    if (said.empty()) return fail(Code::sampler_failed, "it returned {} and no sentence", code);
    return fail(Code::sampler_failed, "{}", said);
  }

 private:
  std::array<char, 1024> text_ = {};
};

const char* token_text(const void* host, int32_t token, size_t* bytes) {
  const auto& vocabulary = *static_cast<const SamplingVocabulary*>(host);
  const std::string_view text = token >= 0 && token < vocabulary.size() ? vocabulary.bytes(token) : std::string_view();
  *bytes = text.size();
  return text.empty() ? "" : text.data();
}

int32_t token_ends_text(const void* host, int32_t token) {
  const auto& vocabulary = *static_cast<const SamplingVocabulary*>(host);
  return token >= 0 && token < vocabulary.size() && vocabulary.is_eog(token);
}

double random_number(const void* host, uint32_t index) {
  return static_cast<const CustomCandidates*>(host)->random(index);
}

// Exceptions that a library throws go through it to the chain, which makes errors of them.
class LibrarySampler : public CustomSampler {
 public:
  static Result<std::unique_ptr<CustomSampler>> create(const std::shared_ptr<const Kind>& kind, const Json& parameters,
                                                       const CustomInput& in);
  ~LibrarySampler() override {
    try {
      if (made_) kind_->functions.destroy(state_);
    } catch (...) {  // there is no request left to end
    }
  }
  LibrarySampler(const LibrarySampler&) = delete;
  LibrarySampler& operator=(const LibrarySampler&) = delete;

  Status apply(CustomCandidates& candidates) override;
  Status accept(int32_t token, bool generated) override {
    if (!kind_->functions.accept) return {};
    Message message;
    return message.status(kind_->functions.accept(state_, token, generated, message.data(), message.bytes()));
  }
  void reset() override {
    if (kind_->functions.reset) kind_->functions.reset(state_);
  }
  Result<std::unique_ptr<CustomSampler>> clone() const override {
    std::unique_ptr<LibrarySampler> copy(new LibrarySampler(kind_));
    Message message;
    LINNET_CHECK(message.status(kind_->functions.clone(state_, &copy->state_, message.data(), message.bytes())));
    copy->made_ = true;
    return Result<std::unique_ptr<CustomSampler>>(std::move(copy));
  }
  bool selects() const override { return (kind_->functions.flags & LINNET_SAMPLER_SELECTS) != 0; }
  std::string describe() const override {
    Message message;
    if (kind_->functions.describe) kind_->functions.describe(state_, message.data(), message.bytes());
    return message.text();
  }

 private:
  explicit LibrarySampler(std::shared_ptr<const Kind> kind) : kind_(std::move(kind)) {}

  std::shared_ptr<const Kind> kind_;
  void* state_ = nullptr;
  bool made_ = false;  // state_ must be destroyed
};

linnet_parameter parameter_of(const Json::Member& member, const std::string& text) {
  const Json& value = member.value;
  linnet_parameter made = {member.key.c_str(), LINNET_PARAMETER_JSON, 0, text.data(), text.size()};
  if (value.is_number()) {
    made.type = LINNET_PARAMETER_NUMBER;
    made.number = *value.number();
  } else if (value.is_boolean()) {
    made.type = LINNET_PARAMETER_BOOLEAN;
    made.number = *value.boolean();
  } else if (value.is_string()) {
    made.type = LINNET_PARAMETER_TEXT;
  }
  return made;
}

Result<std::unique_ptr<CustomSampler>> LibrarySampler::create(const std::shared_ptr<const Kind>& kind,
                                                              const Json& parameters, const CustomInput& in) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : parameters.members())
    texts.push_back(value.is_string() ? std::string(*value.string()) : JsonWriter().value(value).text());
  std::vector<linnet_parameter> list;
  for (const Json::Member& member : parameters.members()) list.push_back(parameter_of(member, texts[list.size()]));
  const linnet_sampler_input input = {.size = sizeof input,
                                      .vocabulary_size = in.vocabulary.size(),
                                      .context = in.context,
                                      .parameters = list.data(),
                                      .parameter_count = list.size(),
                                      .host = &in.vocabulary,
                                      .token_text = token_text,
                                      .token_ends_text = token_ends_text};
  std::unique_ptr<LibrarySampler> made(new LibrarySampler(kind));
  Message message;
  LINNET_CHECK(message.status(kind->functions.create(&input, &made->state_, message.data(), message.bytes())));
  made->made_ = true;
  return Result<std::unique_ptr<CustomSampler>>(std::move(made));
}

Status LibrarySampler::apply(CustomCandidates& c) {
  linnet_sampler_step step = {.size = sizeof step,
                              .count = c.ids.size(),
                              .ids = c.ids.data(),
                              .p = c.p.data(),
                              .logits = c.logits.data(),
                              .keep = c.keep.data(),
                              .picked = -1,
                              .vocabulary_size = c.vocabulary_size,
                              .position = c.position,
                              .history = c.history.data(),
                              .history_count = c.history.size(),
                              .host = &c,
                              .random = random_number};
  Message message;
  const int32_t code = kind_->functions.apply(state_, &step, message.data(), message.bytes());
  c.picked = step.picked;
  return message.status(code);
}

Status check_kind(const std::string& path, uint32_t index, const linnet_sampler* s) {
  const auto refuse = [&](std::string_view what) {
    return fail(Code::unsupported, "{}: sampler {} {}", path, index, what);
  };
  if (!s) return refuse("is NULL, expected a linnet_sampler");
  if (s->size < sizeof *s)
    return refuse(fmt::format("says its size is {}, expected sizeof(linnet_sampler), {}", s->size, sizeof *s));
  if (!s->name) return refuse("has no name");
  if (s->flags & ~uint32_t{LINNET_SAMPLER_SELECTS})
    return refuse(fmt::format("has the flags {:#x}, expected 0 or LINNET_SAMPLER_SELECTS", s->flags));
  const std::pair<bool, std::string_view> required[] = {{s->create != nullptr, "create"},
                                                        {s->apply != nullptr, "apply"},
                                                        {s->clone != nullptr, "clone"},
                                                        {s->destroy != nullptr, "destroy"}};
  for (const auto& [there, name] : required)
    if (!there) return refuse(fmt::format("has no function {}, expected create, apply, clone and destroy", name));
  if (!s->accept != !s->reset) return refuse("has only one of accept and reset, expected both or neither");
  return {};
}

Result<const linnet_sampler_library*> table_of(const std::string& path, const os::SharedLibrary& library) {
  using Entry = const linnet_sampler_library* (*)();
  const auto entry = reinterpret_cast<Entry>(library.symbol("linnet_sampler_v1"));
  if (!entry) {
    return fail(Code::unsupported,
                "{}: exports no function linnet_sampler_v1, expected a sampler library as capi/linnet_sampler.h "
                "describes it",
                path);
  }
  const linnet_sampler_library* table = nullptr;
  try {
    table = entry();
  } catch (...) {
    return fail(Code::sampler_failed, "{}: linnet_sampler_v1() threw an exception, expected a table of samplers", path);
  }
  if (!table) return fail(Code::sampler_failed, "{}: linnet_sampler_v1() returned NULL", path);
  return table;
}

Status check_table(const std::string& path, const linnet_sampler_library* table) {
  if (table->version != LINNET_SAMPLER_VERSION) {
    return fail(Code::unsupported,
                "{}: has version {} of the sampler interface, expected {}; build it again with the "
                "linnet_sampler.h of this Linnet",
                path, table->version, LINNET_SAMPLER_VERSION);
  }
  if (table->count < 1 || table->count > kMostSamplers || !table->samplers)
    return fail(Code::unsupported, "{}: has {} samplers, expected 1 to {}", path, table->samplers ? table->count : 0,
                kMostSamplers);
  return {};
}

// `library` may be null: the table then stays valid by itself.
Status add_table(const std::string& path, const linnet_sampler_library* table,
                 const std::shared_ptr<const os::SharedLibrary>& library, CustomSamplers& samplers) {
  LINNET_CHECK(check_table(path, table));
  CustomSamplers more = samplers;
  for (uint32_t i = 0; i < table->count; ++i) {
    const linnet_sampler* s = table->samplers[i];
    LINNET_CHECK(check_kind(path, i, s));
    const std::string name(s->name, strnlen(s->name, CustomSamplers::kMaxNameBytes + 1));
    const auto kind = std::make_shared<const Kind>(Kind{library, name, *s});
    const auto make = [kind](const Json& parameters, const CustomInput& in) {
      return LibrarySampler::create(kind, parameters, in);
    };
    if (const Status added = more.add(name, make); !added)
      return fail(added.error().code, "{}: {}", path, added.error().message);
  }
  samplers = std::move(more);
  return {};
}

}  // namespace

Status add_samplers(const linnet_sampler_library& library, CustomSamplers& samplers) {
  return add_table("the library of samplers", &library, nullptr, samplers);
}

Status load_sampler_library(const std::string& path, CustomSamplers& samplers) {
  LINNET_TRY(os::SharedLibrary opened, os::SharedLibrary::open(path));
  const auto library = std::make_shared<const os::SharedLibrary>(std::move(opened));
  LINNET_TRY(const linnet_sampler_library* table, table_of(path, *library));
  return add_table(path, table, library, samplers);
}

Result<std::shared_ptr<const CustomSamplers>> custom_samplers(const Options& options) {
  if (options.sampler_libraries.empty()) return std::shared_ptr<const CustomSamplers>();
  auto samplers = std::make_shared<CustomSamplers>();
  for (const std::string& path : options.sampler_libraries) LINNET_CHECK(load_sampler_library(path, *samplers));
  return std::shared_ptr<const CustomSamplers>(std::move(samplers));
}

}  // namespace linnet

// libwasmedgePluginWasiNN.so: the functions of host.h as a plugin of WasmEdge, in place of its own plugin `wasi_nn`. Here
// guests' addresses become pointers: none is used that is not inside the guest's memory, and results are written on
// success only. Guests reach files by the names of the option nn-preload and in no other way.
#include <wasmedge/wasmedge.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/wasi_nn/backend.h"
#include "capi/wasi_nn/host.h"
#include "gguf/base/json.h"
#include "gguf/base/utf8.h"

namespace {

using linnet::wasi_nn::Backend;

// ---- the option: NAME:ENCODING:TARGET:PATH[;NAME:...]. The C interface has no lists, so several are one text.

WasmEdge_String preload_option = {0, nullptr};

using Names = std::map<std::string, std::string>;  // to paths

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; };
  return std::any_of(names.begin(), names.end(), [&](std::string_view n) {
    return std::equal(text.begin(), text.end(), n.begin(), n.end(), same);
  });
}

// Up to the separator, which is dropped; all of it when there is none.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

Names read_names(std::string_view text, const Backend& log) {
  Names names;
  while (!text.empty()) {
    std::string_view rest = take_until(text, ';');
    const std::string_view entry = rest;
    const std::string_view name = take_until(rest, ':');
    const bool encoding = is_one_of(take_until(rest, ':'), {"ggml", "autodetect"});
    const bool target = is_one_of(take_until(rest, ':'), {"cpu", "gpu", "tpu", "auto"});
    if (name.empty() || !encoding || !target || rest.empty()) {
      log.warn(
          fmt::format("nn-preload has {}, expected NAME:GGML:TARGET:PATH with the target CPU, GPU, TPU or AUTO, and ; "
                      "between several; it is left out",
                      linnet::quoted(entry, 256)));
    } else {
      names[std::string(name)] = rest;
    }
  }
  return names;
}

// ---- the guest's memory

class Guest {
 public:
  explicit Guest(const WasmEdge_CallingFrameContext* frame)
      : memory_(WasmEdge_CallingFrameGetMemoryInstance(frame, 0)) {}

  // Null when not all of it is inside. Valid during the call.
  uint8_t* at(uint32_t address, uint64_t bytes) const {
    static uint8_t nothing = 0;
    if (!memory_) return nullptr;
    return bytes == 0 ? &nothing : WasmEdge_MemoryInstanceGetPointer(memory_, address, static_cast<uint32_t>(bytes));
  }
  // A copy: other threads of the guest may write while it is read.
  std::optional<std::string> text(uint32_t address, uint32_t bytes) const {
    const uint8_t* const begin = at(address, bytes);
    if (!begin) return std::nullopt;
    return std::string(reinterpret_cast<const char*>(begin), bytes);
  }

 private:
  WasmEdge_MemoryInstanceContext* memory_;
};

// Words are little-endian in every guest, and need not be aligned.
uint32_t word(const uint8_t* at) {
  return uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}
void set_word(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<uint8_t>(value >> 8 * i);
}
constexpr uint32_t kWord = 4, kPart = 2 * kWord, kTensor = 5 * kWord;

// ---- the functions: arguments as the guest passed them

struct Instance {
  void* ctx = nullptr;
  Names names;
};

// `make(number)` gives a handle, which is written to `address`.
template <class Make>
wasi_nn_error give_handle(const Guest& guest, uint32_t address, Make&& make) {
  uint8_t* const out = guest.at(address, kWord);
  if (!out) return invalid_argument;
  uint32_t number = 0;
  const wasi_nn_error code = make(number);
  if (code == success) set_word(out, number);
  return code;
}

bool is_json(const std::string& config) {
  const std::string_view text = linnet::wasi_nn::bounded(config.data(), static_cast<uint32_t>(config.size()));
  return text.empty() || linnet::parse_json(text);
}

wasi_nn_error load_parts(Instance& self, const Guest& guest, const uint32_t* in) {
  const auto [parts_at, count, encoding, target, graph_at] = std::array{in[0], in[1], in[2], in[3], in[4]};
  if (encoding != 5 && encoding != 6) return invalid_encoding;  // autodetect and GGML, as WasmEdge counts
  const uint64_t bytes = uint64_t{count} * kPart;
  const uint8_t* const parts = bytes > UINT32_MAX ? nullptr : guest.at(parts_at, bytes);
  if (!parts || target > tpu) return invalid_argument;
  std::vector<graph_builder> native(count);
  for (uint32_t i = 0; i < count; ++i) {
    native[i].size = word(parts + i * kPart + kWord);
    native[i].buf = guest.at(word(parts + i * kPart), native[i].size);
    if (!native[i].buf) return invalid_argument;
  }
  const auto view = [&](uint32_t i) {
    return std::string_view(reinterpret_cast<const char*>(native[i].buf), native[i].size);
  };
  // To host.h this would be a path.
  if (count > 0 && view(0).starts_with("preload:")) return invalid_argument;
  std::string config;
  if (count > 1) {
    config = view(1);
    if (!is_json(config)) return invalid_encoding;
    native[1] = {reinterpret_cast<uint8_t*>(config.data()), static_cast<uint32_t>(config.size())};
  }
  graph_builder_array array = {native.data(), count};
  return give_handle(guest, graph_at,
                     [&](graph& g) { return load(self.ctx, &array, ggml, static_cast<execution_target>(target), &g); });
}

wasi_nn_error load_named(Instance& self, const Guest& guest, const std::optional<std::string>& name,
                         const std::optional<std::string>& config, uint32_t graph_at) {
  if (!name || !config) return invalid_argument;
  const auto it = self.names.find(*name);
  if (it == self.names.end()) return not_found;
  if (!is_json(*config)) return invalid_encoding;
  const std::string& path = it->second;
  return give_handle(guest, graph_at, [&](graph& g) {
    return load_by_name_with_config(self.ctx, path.data(), static_cast<uint32_t>(path.size()), config->data(),
                                    static_cast<uint32_t>(config->size()), &g);
  });
}

wasi_nn_error put_input(Instance& self, const Guest& guest, const uint32_t* in) {
  const uint8_t* const given = guest.at(in[2], kTensor);
  if (!given) return invalid_argument;
  const uint64_t dims = uint64_t{word(given + 4)} * kWord;
  const uint32_t type = word(given + 8);
  if (dims > UINT32_MAX || !guest.at(word(given), dims)) return invalid_argument;
  if (type != 0 && type != 1 && type != 3 && type != 4) return invalid_argument;  // f16, f32, u8, i32; all mean bytes
  std::optional<std::string> text = guest.text(word(given + 12), word(given + 16));
  if (!text) return invalid_argument;
  if (in[1] == 1 && !is_json(*text)) return invalid_encoding;
  tensor native = {.type = 3, .data = {reinterpret_cast<uint8_t*>(text->data()), static_cast<uint32_t>(text->size())}};
  return set_input(self.ctx, in[0], in[1], &native);
}

template <wasi_nn_error (*output)(void*, graph_execution_context, uint32_t, tensor_data*, uint32_t*)>
wasi_nn_error take_output(Instance& self, const Guest& guest, const uint32_t* in) {
  tensor_data buffer = {guest.at(in[2], in[3]), in[3]};
  uint8_t* const written = guest.at(in[4], kWord);
  if (!buffer.buf || !written) return invalid_argument;
  uint32_t size = 0;
  const wasi_nn_error code = output(self.ctx, in[0], in[1], &buffer, &size);
  if (code == success || code == too_large) set_word(written, size);  // too large: the size that is needed
  return code;
}

template <wasi_nn_error (*call)(void*, uint32_t)>
wasi_nn_error on_handle(Instance& self, const Guest&, const uint32_t* in) {
  return call(self.ctx, in[0]);
}

struct Function {
  const char* name;
  uint32_t parameters;  // all i32, as the one result is
  wasi_nn_error (*body)(Instance& self, const Guest& guest, const uint32_t* in);
};
constexpr uint32_t kMostParameters = 5;

constexpr Function kFunctions[] = {
    {"load", 5, load_parts},
    {"load_by_name", 3,
     [](Instance& self, const Guest& guest, const uint32_t* in) {
       return load_named(self, guest, guest.text(in[0], in[1]), "", in[2]);
     }},
    {"load_by_name_with_config", 5,
     [](Instance& self, const Guest& guest, const uint32_t* in) {
       return load_named(self, guest, guest.text(in[0], in[1]), guest.text(in[2], in[3]), in[4]);
     }},
    {"init_execution_context", 2,
     [](Instance& self, const Guest& guest, const uint32_t* in) {
       return give_handle(guest, in[1], [&](uint32_t& id) { return init_execution_context(self.ctx, in[0], &id); });
     }},
    {"set_input", 3, put_input},
    {"get_output", 5, take_output<get_output>},
    {"get_output_single", 5, take_output<get_output_single>},
    {"compute", 1, on_handle<compute>},
    {"compute_single", 1, on_handle<compute_single>},
    {"fini_single", 1, on_handle<fini_single>},
    {"unload", 1, on_handle<unload>},
    {"finalize_execution_context", 1, on_handle<finalize_execution_context>},
};

// ---- as WasmEdge wants it

// What a function's data points to: it is told nothing else.
struct Module {
  struct Bound {
    Instance* instance;
    const Function* function;
  };
  Instance instance;
  std::array<Bound, std::size(kFunctions)> functions;

  ~Module() {
    if (instance.ctx) deinit_backend(instance.ctx);
  }
};

WasmEdge_Result call(void* data, const WasmEdge_CallingFrameContext* frame, const WasmEdge_Value* in,
                     WasmEdge_Value* out) {
  const auto& bound = *static_cast<const Module::Bound*>(data);
  wasi_nn_error code = runtime_error;
  try {
    uint32_t arguments[kMostParameters] = {};
    for (uint32_t i = 0; i < bound.function->parameters; ++i)
      arguments[i] = static_cast<uint32_t>(WasmEdge_ValueGetI32(in[i]));
    code = bound.function->body(*bound.instance, Guest(frame), arguments);
  } catch (...) {}  // no memory
  out[0] = WasmEdge_ValueGenI32(code);
  return WasmEdge_Result_Success;
}

std::unique_ptr<Module> open_module() try {
  auto module = std::make_unique<Module>();
  linnet::wasi_nn::Rules rules = linnet::wasi_nn::host_rules();
  rules.strictness = linnet::Strictness::values;  // values of a wrong type are errors to these guests
  module->instance.ctx = Backend::open({}, rules);
  const auto backend = Backend::find(module->instance.ctx);
  if (!backend) return nullptr;
  if (preload_option.Buf) module->instance.names = read_names({preload_option.Buf, preload_option.Length}, *backend);
  return module;
} catch (...) { return nullptr; }

WasmEdge_ModuleInstanceContext* create(const WasmEdge_ModuleDescriptor*) {
  std::unique_ptr<Module> module = open_module();
  if (!module) return nullptr;
  Module& m = *module;
  const auto name = [](const char* text) {
    return WasmEdge_StringWrap(text, static_cast<uint32_t>(std::strlen(text)));
  };
  WasmEdge_ModuleInstanceContext* const made = WasmEdge_ModuleInstanceCreateWithData(
      name("wasi_ephemeral_nn"), &m, [](void* data) { delete static_cast<Module*>(data); });
  if (!made) return nullptr;
  module.release();  // the finalizer has it
  const WasmEdge_ValType i32 = WasmEdge_ValTypeGenI32();
  std::array<WasmEdge_ValType, kMostParameters> parameters;
  parameters.fill(i32);
  for (size_t i = 0; i < std::size(kFunctions); ++i) {
    const Function& f = kFunctions[i];
    m.functions[i] = {&m.instance, &f};
    WasmEdge_FunctionTypeContext* const type = WasmEdge_FunctionTypeCreate(parameters.data(), f.parameters, &i32, 1);
    WasmEdge_ModuleInstanceAddFunction(made, name(f.name),
                                       WasmEdge_FunctionInstanceCreate(type, call, &m.functions[i], 0));
    WasmEdge_FunctionTypeDelete(type);
  }
  return made;
}

}  // namespace

// WasmEdge knows its official plugins by name and replaces absent ones by empty shells: only under this name, for the
// plugin and for its module, is this one taken.
const WasmEdge_PluginDescriptor* WasmEdge_Plugin_GetDescriptor() {
  static const WasmEdge_String no_names = {0, nullptr};
  static WasmEdge_ProgramOption options[] = {
      {"nn-preload", "models that guests load by name: NAME:GGML:TARGET:PATH, with ; between several",
       WasmEdge_ProgramOptionType_String, &preload_option, &no_names},
  };
  static WasmEdge_ModuleDescriptor modules[] = {{"wasi_nn", "language models, computed by Linnet", create}};
  static const WasmEdge_PluginDescriptor descriptor = {
      .Name = "wasi_nn",
      .Description = "WASI-NN with language models, computed by Linnet",
      .APIVersion = WasmEdge_Plugin_CurrentAPIVersion,
      .Version = {0, 1, 0, 0},
      .ModuleCount = std::size(modules),
      .ProgramOptionCount = std::size(options),
      .ModuleDescriptions = modules,
      .ProgramOptions = options,
  };
  return &descriptor;
}

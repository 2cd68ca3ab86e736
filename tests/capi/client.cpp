#include "tests/capi/client.h"

#include <charconv>
#include <vector>

namespace linnet {

Client::Client(std::string_view config) {
  EXPECT_EQ(abi.init_backend_with_config(&ctx, config.data(), static_cast<uint32_t>(config.size())), 0);
}

Client::~Client() {
  if (!ctx) return;
  EXPECT_EQ(abi.deinit_backend(ctx), 0);
}

uint32_t Client::load(std::string_view config, const std::string& path) {
  const int32_t code = abi.load_by_name_with_config(ctx, path.data(), static_cast<uint32_t>(path.size()),
                                                    config.empty() ? nullptr : config.data(),
                                                    static_cast<uint32_t>(config.size()), &graph);
  EXPECT_EQ(code, 0) << path;
  EXPECT_NE(graph, 0u);
  return graph;
}

uint32_t Client::open(const char* session) {
  uint32_t exec = 0;
  const int32_t code = session ? abi.init_execution_context_with_session_id(ctx, session, &exec)
                               : abi.init_execution_context(ctx, graph, &exec);
  EXPECT_EQ(code, 0);
  EXPECT_NE(exec, 0u);
  return exec;
}

uint32_t Client::open(const char* session, std::string_view config) {
  uint32_t exec = 0;
  EXPECT_EQ(abi.init_execution_context_with_config(ctx, graph, session, config.data(),
                                                   static_cast<uint32_t>(config.size()), &exec),
            0);
  return exec;
}

void Client::close(uint32_t exec) { EXPECT_EQ(abi.close_execution_context(ctx, exec), 0); }

int32_t Client::run(uint32_t exec, std::string_view text, std::string_view config, std::string* answer) {
  std::string bytes(text);
  std::vector<uint8_t> out(65536);
  auto size = static_cast<uint32_t>(out.size());
  uint32_t length = static_cast<uint32_t>(bytes.size());
  Dims dims{&length, 1};
  ClientAbi::Tensor input{&dims, 1, reinterpret_cast<uint8_t*>(bytes.data())};
  const int32_t code =
      abi.run_inference(ctx, exec, 0, &input, out.data(), &size, config.empty() ? nullptr : config.data(),
                        static_cast<uint32_t>(config.size()));
  if (code == 0) {
    EXPECT_GT(size, 0u);
    EXPECT_LE(size, out.size());
    EXPECT_EQ(out[size - 1], 0) << "the answer ends with a zero byte";
    if (answer) answer->assign(reinterpret_cast<const char*>(out.data()), size - 1);
  }
  return code;
}

std::string Client::say(uint32_t exec, std::string_view text, std::string_view config) {
  std::string answer;
  EXPECT_EQ(run(exec, text, config, &answer), 0) << text;
  return answer;
}

int32_t Client::set_input(uint32_t exec, std::string_view text, uint32_t index) {
  std::string bytes(text);
  ClientAbi::Tensor input{nullptr, 4, reinterpret_cast<uint8_t*>(bytes.data())};
  return abi.set_input(ctx, exec, index, &input);
}

int32_t Client::output(uint32_t exec, std::string& text, uint32_t index, bool single) {
  std::vector<uint8_t> out(65536);
  auto size = static_cast<uint32_t>(out.size());
  const int32_t code = (single ? abi.get_output_single : abi.get_output)(ctx, exec, index, out.data(), &size);
  if (code == 0) text.assign(reinterpret_cast<const char*>(out.data()), size);
  return code;
}

int32_t Client::piece(uint32_t exec, std::string& text) {
  text.clear();
  const int32_t code = abi.compute_single(ctx, exec);
  return code == 0 ? output(exec, text, 0, true) : code;
}

Json Client::status(Topic topic) {
  std::vector<char> buffer(1 << 20);
  EXPECT_EQ(abi.get_backend_status(ctx, topic, buffer.data(), static_cast<uint32_t>(buffer.size())), 0);
  auto json = parse_json(buffer.data());
  if (!json) {
    ADD_FAILURE() << json.error().message << ": " << buffer.data();
    return Json();
  }
  return *std::move(json);
}

const Json* at_path(const Json& json, std::string_view path) {
  const Json* here = &json;
  while (here && !path.empty()) {
    const std::string_view key = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), key.size() + 1));
    size_t index = 0;
    if (here->is_array() && std::from_chars(key.begin(), key.end(), index).ec == std::errc()) {
      here = index < here->elements().size() ? &here->elements()[index] : nullptr;
    } else {
      here = here->find(key);
    }
  }
  return here;
}

int64_t Client::number(Topic topic, std::string_view path) {
  const Json json = status(topic);
  const Json* found = at_path(json, path);
  if (!found || !found->is_integer()) {
    ADD_FAILURE() << "no number " << path << " in the status";
    return -1;
  }
  return *found->integer();
}

int64_t Client::session_number(uint32_t exec, std::string_view name) {
  const Json json = status(kSessions);
  const Json* sessions = json.find("sessions");
  for (const Json& session : sessions ? sessions->elements() : std::span<const Json>()) {
    const Json* id = session.find("session");
    const Json* value = session.find(name);
    if (id && value && *id->integer() == exec) return *value->integer();
  }
  ADD_FAILURE() << "no session " << exec << " with a number " << name;
  return -1;
}

}  // namespace linnet

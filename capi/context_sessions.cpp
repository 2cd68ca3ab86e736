// A runtime's sessions, their requests and streams.
#include <algorithm>
#include <utility>

#include "capi/context_impl.h"
#include "gguf/base/hash.h"
#include "gguf/base/utf8.h"

namespace linnet {

// Under the mutex; whoever called destroys them without it, since they wait for their requests.
void Context::take_streams(uint32_t session, std::map<uint32_t, OpenStream>& taken) {
  for (auto it = streams_.begin(); it != streams_.end();) {
    const auto here = it++;
    if (here->second.session == session) taken.insert(streams_.extract(here));
  }
}

Result<uint32_t> Context::open_session(uint32_t model, std::optional<std::string_view> name, std::string_view config) {
  const Inside inside(*this);
  if (!inside) return closed();
  if (name && (!utf8_valid(*name) || name->empty() || name->find('\0') != name->npos)) {
    return fail(Code::invalid_argument, "the session's name is {}, expected UTF-8 without zero bytes, not empty",
                quoted(*name));
  }
  LINNET_TRY(const std::shared_ptr<ServedModel> served, this->served(model));
  LINNET_TRY(ConfigLayers below, model_layers(model));
  const bool configured = !config.empty();
  LINNET_TRY(ConfigLayers layers, read_layer(std::move(below), ConfigLayer::session, config));
  const std::string& tenant = layers.options().cache_salt;
  const uint64_t salt = tenant.empty() ? 0 : xxh64(std::as_bytes(std::span(tenant)));
  LINNET_TRY(std::shared_ptr<Session> session, Session::open(served, salt));
  // Everything that takes memory comes before the table changes. Those that go end without the mutex.
  std::map<uint32_t, OpenSession> fresh, evicted;
  std::map<uint32_t, OpenStream> streams;
  fresh.emplace(0, OpenSession{std::move(session), std::move(layers)});
  SessionTable::Opened opened;
  {
    const std::lock_guard lock(mutex_);
    const auto it = models_.find(model);
    if (it == models_.end() || it->second.leaving) return no_model(model);
    LINNET_TRY(opened, table_.open(model, name.value_or(""), now_ms()));
    for (const uint32_t id : opened.evicted) {
      take_streams(id, streams);
      evicted.insert(sessions_.extract(id));
    }
    auto node = fresh.extract(fresh.begin());
    if (!opened.existed) {
      node.key() = opened.id;
      sessions_.insert(std::move(node));
    } else {
      if (configured) std::swap(sessions_.at(opened.id).layers, node.mapped().layers);
      evicted.insert(std::move(node));
    }
  }
  quietly([&] {
    for (const uint32_t id : opened.evicted)
      log().log(LogLevel::info, "SESSION", "session {} made room: it was idle, or used longest ago", id);
    if (!opened.existed) {
      log().log(LogLevel::debug, "SESSION", "session {} is open with model {}, {}", opened.id, model,
                name ? quoted(*name) : "without a name");
    }
  });
  return opened.id;
}

Status Context::close_session(uint32_t id) {
  const Inside inside(*this);
  if (!inside) return closed();
  std::map<uint32_t, OpenSession> ended;
  std::map<uint32_t, OpenStream> streams;
  {
    std::unique_lock lock(mutex_);
    const auto it = sessions_.find(id);
    if (it == sessions_.end()) return no_session(id);
    it->second.session->close();
    // Somebody else may close it meanwhile.
    left_.wait(lock, [&] { return !table_.exists(id) || !table_.in_use(id); });
    if (!table_.exists(id)) return no_session(id);
    take_streams(id, streams);
    table_.close(id);
    ended.insert(sessions_.extract(id));
  }
  quietly([&] { log().log(LogLevel::debug, "SESSION", "session {} is closed", id); });
  return {};
}

Result<uint32_t> Context::fork_session(uint32_t id) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(std::shared_ptr<Session> copy, use.session->fork());
  std::map<uint32_t, OpenSession> fresh;
  fresh.emplace(0, OpenSession{std::move(copy), use.layers});
  const std::lock_guard lock(mutex_);
  const auto original = sessions_.find(id);
  if (original == sessions_.end()) return no_session(id);
  LINNET_TRY(const SessionTable::Opened opened, table_.open(table_.owner(id), "", now_ms()));
  auto node = fresh.extract(fresh.begin());
  node.key() = opened.id;
  sessions_.insert(std::move(node));
  return opened.id;
}

Status Context::reset_session(uint32_t id) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  return use.session->reset();
}

Status Context::save_session(uint32_t id, const std::string& path) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(const SavedSession saved, use.session->saved());
  LINNET_CHECK(write_session(path, saved));
  quietly([&] {
    log().event(LogLevel::info, "SESSION", fmt::format("session {} is saved", id),
                {{"path", path}, {"messages", saved.messages.size()}, {"page_bytes", saved.pages.size()}});
  });
  return {};
}

Status Context::resume_session(uint32_t id, const std::string& path) {
  LINNET_TRY(const Use use, Use::begin(*this, id));
  LINNET_TRY(SavedSession saved, read_session(path));
  const size_t messages = saved.messages.size();
  LINNET_TRY(const bool computed, use.session->restore(std::move(saved)));
  quietly([&] {
    log().event(LogLevel::info, "SESSION", fmt::format("session {} is resumed", id),
                {{"path", path}, {"messages", messages}, {"computed", computed}});
  });
  return {};
}

Status Context::cancel(uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (closed_) return closed();
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return no_session(id);
  it->second.session->cancel();
  return {};
}

Result<Completion> Context::generate(uint32_t id, const GenerateInput& input) {
  relieve_pressure();
  LINNET_TRY(Use use, Use::begin(*this, id));
  auto result = [&]() -> Result<Completion> {
    LINNET_TRY(const ConfigLayers layers, read_layer(use.layers, ConfigLayer::request, input.config));
    const Options& options = layers.options();
    LINNET_TRY(Request request, make_request(options, {}));
    request.client = id;
    const ServedModel& served = use.session->served();
    request.shift = options.context_shifting && served.engine->forward().can_shift();
    // In a small context the default would leave nothing to discard.
    const int64_t half = served.model->context_for(options.ctx_size) / 2 / kPageTokens * kPageTokens;
    request.n_keep = std::min(request.n_keep, half);
    request.on_text = input.on_text;
    Session& session = *use.session;
    if (!input.tokens.empty())
      return session.complete({input.tokens.begin(), input.tokens.end()}, std::move(request), input.call);
    if (!input.raw && options.apply_chat_template)
      return session.chat(input.text, std::move(request), options.chat_template_kwargs.text, input.call);
    const Tokenizer& tokenizer = session.served().model->tokenizer();
    LINNET_TRY(std::vector<int32_t> prompt,
               tokenizer.encode(input.text, {.bos = tokenizer.add_bos(), .special = true}));
    return session.complete(std::move(prompt), std::move(request), input.call);
  }();
  count(result);
  quietly([&] { log_request(id, result); });
  return result;
}

void Context::log_request(uint32_t session, const Result<Completion>& result) const {
  if (!result) {
    log().event(LogLevel::warning, "TASK", result.error().message,
                {{"session", session}, {"code", code_name(result.error().code)}});
    return;
  }
  const Completion& c = *result;
  log().event(LogLevel::info, "PERF", "request is done",
              {{"session", session},
               {"finish", finish_reason_name(c.finish_reason)},
               {"prompt_tokens", c.prompt_tokens},
               {"cached_tokens", c.cached_tokens},
               {"tokens", c.completion_tokens},
               {"queue_ms", c.timings.queue_ms},
               {"first_token_ms", c.timings.ttft_ms},
               {"decode_ms", c.timings.decode_ms}});
  for (const std::string& note : c.notes) log().log(LogLevel::debug, "TASK", "session {}: {}", session, note);
}

void Context::count(const Result<Completion>& result) {
  const std::lock_guard lock(mutex_);
  if (result) {
    metrics_.add(*result);
  } else {
    metrics_.add(result.error());
  }
}

Result<uint32_t> Context::start_stream(uint32_t session, const GenerateInput& input) {
  const Inside inside(*this);
  if (!inside) return closed();
  struct Texts {
    std::string text, config;
    std::vector<int32_t> tokens;
  };
  const auto texts = std::make_shared<const Texts>(
      Texts{std::string(input.text), std::string(input.config), {input.tokens.begin(), input.tokens.end()}});
  const auto run = [this, session, texts, raw = input.raw](const std::function<bool(std::string_view)>& on_text,
                                                           Session::Call& call) {
    return generate(session, {.text = texts->text,
                              .tokens = texts->tokens,
                              .raw = raw,
                              .config = texts->config,
                              .on_text = on_text,
                              .call = &call});
  };
  std::shared_ptr<Session> owner;
  uint32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return no_session(session);
    for (const auto& [other, open] : streams_) {
      if (open.session == session)
        return fail(Code::busy, "session {} has a stream already ({}); finish it first", session, other);
    }
    owner = it->second.session;
    id = ++last_stream_;
    streams_[id] = {session, nullptr};
  }
  std::optional<Result<std::shared_ptr<Stream>>> stream;
  try {
    stream = Stream::start(run, [owner](Session::Call& call) { owner->cancel(call); });
  } catch (const std::bad_alloc&) { stream = Error{Code::out_of_memory, "out of memory"}; }
  const std::lock_guard lock(mutex_);
  // The session may have ended meanwhile, and the entry with it.
  const auto entry = streams_.find(id);
  if (entry == streams_.end()) return no_session(session);
  if (!*stream) {
    streams_.erase(entry);
    return stream->error();
  }
  entry->second.stream = **std::move(stream);
  return id;
}

Result<std::shared_ptr<Stream>> Context::stream(uint32_t id, bool take) {
  const std::lock_guard lock(mutex_);
  const auto it = streams_.find(id);
  if (it == streams_.end() || !it->second.stream)
    return fail(Code::handle_unknown, "there is no stream {}; it was never started, or it is finished", id);
  std::shared_ptr<Stream> stream = it->second.stream;
  if (take) streams_.erase(it);
  return stream;
}

bool Context::has_session(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  return sessions_.contains(session);
}

Result<ConfigLayers> Context::session_layers(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return no_session(session);
  return it->second.layers;
}

Result<uint32_t> Context::model_of(uint32_t session) const {
  const std::lock_guard lock(mutex_);
  if (!sessions_.contains(session)) return no_session(session);
  return table_.owner(session);
}

}  // namespace linnet

#include "runtime/conversations.h"

#include <utility>

namespace linnet {

int64_t Conversations::open() {
  all_.emplace(next_ + 1, Conversation{});
  return ++next_;
}

Status Conversations::usable(int64_t id) const {
  const auto it = all_.find(id);
  if (it == all_.end()) {
    return fail(Code::invalid_argument, "there is no conversation {}; it was never opened, or it is closed", id);
  }
  if (it->second.claimed) {
    return fail(Code::busy, "conversation {} is already used by a request; wait for it, or fork the conversation", id);
  }
  return {};
}

Status Conversations::claim(int64_t id) {
  LINNET_CHECK(usable(id));
  all_.at(id).claimed = true;
  return {};
}

void Conversations::unclaim(int64_t id) {
  const auto it = all_.find(id);
  if (it == all_.end()) return;
  it->second.claimed = false;
  if (it->second.closing) all_.erase(it);
}

void Conversations::close(int64_t id) {
  const auto it = all_.find(id);
  if (it == all_.end()) return;
  it->second.closing = true;
  if (!it->second.claimed) all_.erase(it);
}

bool Conversations::closing(int64_t id) const {
  const auto it = all_.find(id);
  return it != all_.end() && it->second.closing;
}

Result<int64_t> Conversations::fork(int64_t id) {
  LINNET_CHECK(usable(id));
  std::optional<Sequence> copy;
  if (const auto& sequence = all_.at(id).sequence) copy = sequence->fork();
  const int64_t result = open();
  remember(result, known(id));
  if (copy) put(result, std::move(*copy));
  return result;
}

Result<std::vector<std::byte>> Conversations::park(int64_t id) const {
  LINNET_CHECK(usable(id));
  const auto& sequence = all_.at(id).sequence;
  return sequence ? sequence->park() : std::vector<std::byte>();
}

Result<int64_t> Conversations::resume(PagePool& pool, std::span<const std::byte> bytes, uint64_t salt) {
  LINNET_TRY(Sequence sequence, Sequence::resume(pool, bytes));
  if (sequence.salt() != salt) {
    return fail(Code::invalid_argument,
                "the parked pages belong to another tenant (cache_salt); their text is computed again");
  }
  const int64_t id = open();
  put(id, std::move(sequence));
  return id;
}

std::optional<Sequence> Conversations::take(int64_t id) { return std::exchange(all_.at(id).sequence, std::nullopt); }

void Conversations::put(int64_t id, Sequence sequence) {
  Conversation& c = all_.at(id);
  c.known = sequence.size();
  c.sequence = std::move(sequence);
  c.last_used = ++uses_;
}

int64_t Conversations::known(int64_t id) const {
  const auto it = all_.find(id);
  return it == all_.end() ? 0 : it->second.known;
}

void Conversations::remember(int64_t id, int64_t positions) {
  const auto it = all_.find(id);
  if (it != all_.end()) it->second.known = positions;
}

bool Conversations::release_oldest() {
  Conversation* oldest = nullptr;
  for (auto& [id, c] : all_) {
    if (c.sequence && (!oldest || c.last_used < oldest->last_used)) oldest = &c;
  }
  if (oldest) oldest->sequence.reset();
  return oldest != nullptr;
}

}  // namespace linnet

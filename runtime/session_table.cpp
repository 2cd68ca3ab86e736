#include "runtime/session_table.h"

#include <algorithm>
#include <limits>

namespace linnet {

Result<SessionTable::Opened> SessionTable::open(uint32_t owner, std::string_view name, int64_t now_ms) {
  Opened opened;
  std::vector<uint32_t>& leaving = opened.evicted;
  if (!name.empty()) {
    if (const uint32_t id = find(owner, name)) {
      all_.at(id).last_used = now_ms;
      return Opened{id, true, {}};
    }
    leaving = idle(now_ms);
    if (leaving.empty() && named() >= limits_.max_named) {
      const uint32_t victim = limits_.auto_cleanup ? oldest(false) : 0;
      if (victim == 0) {
        return fail(Code::busy, "there are {} named sessions, as many as max_sessions allows, and {}; close one",
                    named(), limits_.auto_cleanup ? "all of them are in use" : "auto_cleanup is off");
      }
      leaving.push_back(victim);
    }
  } else if (anonymous() >= limits_.max_anonymous) {
    return fail(Code::busy,
                "there are {} sessions without a name, as many as max_concurrent allows; close one, or give names",
                anonymous());
  }
  if (last_ == std::numeric_limits<uint32_t>::max()) {
    return fail(Code::busy, "all {} session handles have been given out; open a new runtime", last_);
  }
  // What may find no memory comes first: then nothing has changed.
  all_.emplace(last_ + 1, Entry{owner, std::string(name), now_ms, 0});
  opened.id = ++last_;
  for (const uint32_t id : leaving) close(id);
  evictions_ += static_cast<int64_t>(leaving.size());
  return opened;
}

uint32_t SessionTable::find(uint32_t owner, std::string_view name) const {
  if (name.empty()) return 0;
  const auto it = std::find_if(all_.begin(), all_.end(),
                               [&](const auto& e) { return e.second.owner == owner && e.second.name == name; });
  return it == all_.end() ? 0 : it->first;
}

void SessionTable::begin_use(uint32_t id, int64_t now_ms) {
  Entry& entry = all_.at(id);
  ++entry.uses;
  entry.last_used = now_ms;
}

void SessionTable::end_use(uint32_t id, int64_t now_ms) {
  const auto it = all_.find(id);
  if (it == all_.end()) return;  // closed meanwhile
  --it->second.uses;
  it->second.last_used = now_ms;
}

std::vector<uint32_t> SessionTable::idle(int64_t now_ms) const {
  std::vector<uint32_t> found;
  if (!limits_.auto_cleanup) return found;
  for (const auto& [id, entry] : all_) {
    if (!entry.name.empty() && entry.uses == 0 && now_ms - entry.last_used >= limits_.idle_ms) found.push_back(id);
  }
  return found;
}

std::vector<uint32_t> SessionTable::take_idle(int64_t now_ms) {
  std::vector<uint32_t> taken = idle(now_ms);
  for (const uint32_t id : taken) close(id);
  evictions_ += static_cast<int64_t>(taken.size());
  return taken;
}

uint32_t SessionTable::oldest(bool anonymous_too) const {
  uint32_t best = 0;
  for (const auto& [id, entry] : all_) {
    if (entry.uses > 0 || (entry.name.empty() && !anonymous_too)) continue;
    if (best == 0 || entry.last_used < all_.at(best).last_used) best = id;
  }
  return best;
}

uint32_t SessionTable::least_recent() const { return oldest(true); }

std::vector<uint32_t> SessionTable::ids() const {
  std::vector<uint32_t> result;
  for (const auto& [id, entry] : all_) result.push_back(id);
  return result;
}

std::vector<uint32_t> SessionTable::of_owner(uint32_t owner) const {
  std::vector<uint32_t> result;
  for (const auto& [id, entry] : all_) {
    if (entry.owner == owner) result.push_back(id);
  }
  return result;
}

int64_t SessionTable::named() const {
  return std::count_if(all_.begin(), all_.end(), [](const auto& e) { return !e.second.name.empty(); });
}

}  // namespace linnet

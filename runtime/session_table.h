// Which sessions there are, and which of them have to go: handles, names, limits, and who was used last. Policy only: it
// knows numbers, names and times that others give it. Not thread-safe.
//
// Handles count up from 1 and are never used again. Anonymous sessions have a limit of their own and stay until they are
// closed; named ones make room for each other: first those that were idle for too long, then the one used longest ago.
// A session that is in use never goes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"

namespace linnet {

struct SessionLimits {
  int64_t max_named = 100;
  int64_t max_anonymous = 8;
  int64_t idle_ms = 300000;
  bool auto_cleanup = true;  // otherwise nobody goes, and a full table is an error
};

class SessionTable {
 public:
  explicit SessionTable(const SessionLimits& limits) : limits_(limits) {}

  struct Opened {
    uint32_t id = 0;
    bool existed = false;
    std::vector<uint32_t> evicted;  // they are gone from the table
  };
  // `owner` is the model. An empty name: anonymous. A name is known per owner, and asking for it counts as a use. busy
  // when the table is full; on any failure nobody has gone.
  Result<Opened> open(uint32_t owner, std::string_view name, int64_t now_ms);

  bool exists(uint32_t id) const { return all_.contains(id); }
  uint32_t owner(uint32_t id) const { return all_.at(id).owner; }
  const std::string& name(uint32_t id) const { return all_.at(id).name; }
  int64_t idle_ms(uint32_t id, int64_t now_ms) const { return now_ms - all_.at(id).last_used; }
  // 0 when there is none.
  uint32_t find(uint32_t owner, std::string_view name) const;

  // Around every use; uses may overlap.
  void begin_use(uint32_t id, int64_t now_ms);
  void end_use(uint32_t id, int64_t now_ms);
  bool in_use(uint32_t id) const { return all_.at(id).uses > 0; }

  void close(uint32_t id) { all_.erase(id); }
  // Takes out the named sessions that were idle for too long, and returns them; none without auto_cleanup.
  std::vector<uint32_t> take_idle(int64_t now_ms);
  // The one to let go for memory's sake: the named or anonymous session not in use that was used longest ago, or 0. It
  // stays in the table.
  uint32_t least_recent() const;

  std::vector<uint32_t> ids() const;
  std::vector<uint32_t> of_owner(uint32_t owner) const;
  int64_t named() const;
  int64_t anonymous() const { return static_cast<int64_t>(all_.size()) - named(); }
  const SessionLimits& limits() const { return limits_; }
  int64_t evictions() const { return evictions_; }

 private:
  struct Entry {
    uint32_t owner = 0;
    std::string name;
    int64_t last_used = 0;
    int64_t uses = 0;
  };
  uint32_t oldest(bool anonymous_too) const;
  std::vector<uint32_t> idle(int64_t now_ms) const;  // named, for too long; none without auto_cleanup

  SessionLimits limits_;
  std::map<uint32_t, Entry> all_;
  uint32_t last_ = 0;
  int64_t evictions_ = 0;
};

}  // namespace linnet

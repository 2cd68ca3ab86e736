// Conversations: sequences that stay between requests. One request at a time uses a conversation. The pages of those
// that rest are the first to be let go when memory runs short; such a conversation computes its text again, as far as
// the prefix cache has lost it. Not thread-safe: see runtime/engine_impl.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/sequence.h"

namespace linnet {

class Conversations {
 public:
  int64_t open();
  bool exists(int64_t id) const { return all_.contains(id); }

  // Reserves the conversation for a request: invalid_argument when there is none, busy when it has one.
  Status claim(int64_t id);
  void unclaim(int64_t id);
  // The request that has it is to be cancelled; the conversation is gone when that has happened, or at once.
  void close(int64_t id);
  bool closing(int64_t id) const;

  // A new conversation with the same content; an error as for claim().
  Result<int64_t> fork(int64_t id);

  // What it has computed, as bytes, and a new one with that content (Sequence::park). Errors as for claim().
  Result<std::vector<std::byte>> park(int64_t id) const;
  Result<int64_t> resume(PagePool& pool, std::span<const std::byte> bytes, uint64_t salt);

  // The sequence, if it still has one, becomes the caller's; put() gives it back.
  std::optional<Sequence> take(int64_t id);
  void put(int64_t id, Sequence sequence);
  // The positions of its text when it last rested, with or without pages; 0: none, or no such conversation.
  int64_t known(int64_t id) const;
  // The same for a text whose pages are lost.
  void remember(int64_t id, int64_t positions);
  // Lets go of the pages of the conversation that was used longest ago; false when none has any.
  bool release_oldest();

 private:
  struct Conversation {
    std::optional<Sequence> sequence;
    bool claimed = false;
    bool closing = false;
    int64_t last_used = 0;
    int64_t known = 0;
  };

  Status usable(int64_t id) const;

  std::map<int64_t, Conversation> all_;
  int64_t next_ = 0;
  int64_t uses_ = 0;
};

}  // namespace linnet

// Context shift: what happens when a text reaches the end of its context, and when a shifted text is to come back.
//
// When the context is full and another row is to be computed, the pages behind the sinks are dropped: at that very
// place in the text, whatever else runs and however rows are cut into steps. The keys and values that are left have seen
// what was dropped, and could only be computed again by going through all of the text; so a preempted text is parked. One
// that is lost all the same, because a resting conversation gave its pages up or because it is changed within what was
// dropped, is taken up again from its beginning and its end, as if it had been that text from the start.
#include <algorithm>
#include <new>
#include <utility>

#include "runtime/engine_impl.h"

namespace linnet {
namespace {

int64_t whole_pages(int64_t positions) { return (positions + kPageTokens - 1) / kPageTokens * kPageTokens; }
int64_t full_pages(int64_t positions) { return positions / kPageTokens * kPageTokens; }

}  // namespace

Status Engine::Impl::prepare_shift(Job& job, const Request& r) const {
  if (!r.shift) return {};
  LINNET_CHECK(forward->can_shift());
  if (r.n_keep < -1 || r.n_keep > kMostPositions || r.n_discard < 1 || r.n_discard > kMostPositions) {
    return fail(Code::option_range, "n_keep is {} and n_discard {}, expected -1 to {} and 1 to {}", r.n_keep,
                r.n_discard, kMostPositions, kMostPositions);
  }
  if (r.n_keep < 0 && r.conversation != 0) {
    return fail(Code::option_range,
                "n_keep is -1, the whole prompt, expected 0 or more in a conversation: its prompts grow with it");
  }
  job.shift.keep = whole_pages(r.n_keep < 0 ? job.prompt_size : r.n_keep);
  if (job.shift.keep + kPageTokens <= shifted_limit(job.shift.keep)) job.shift.discard = whole_pages(r.n_discard);
  return {};
}

// The part of a conversation's prompt that is new must fit.
Status Engine::Impl::check_known(Job& job) const {
  if (!job.conversation || job.shift.discard == 0) return {};
  job.shift.known = conversations.known(job.conversation);
  const int64_t most = std::min(context + job.shift.known, kMostPositions - 1);
  if (job.prompt_size <= most) return {};
  return fail(
      Code::prompt_too_long,
      "the prompt takes {} positions, but the context holds {} and conversation {} knows {} of them; shorten it, or "
      "open the engine with a larger context",
      job.prompt_size, context, job.conversation, job.shift.known);
}

// Positions in view of a text that was shifted: its sinks take their pages twice.
int64_t Engine::Impl::shifted_limit(int64_t keep) const {
  return std::min(context, pool.capacity() * kPageTokens - keep);
}

// Whether the text that a conversation had shifted is not there. (A preempted job's is parked.)
void Engine::Impl::look_for_shift(Job& job) const {
  if (job.admitted || job.shift.discard == 0) return;
  job.shift.lost = job.sequence->dropped() == 0 && job.shift.known > context;
}

// Of `rows` next rows those that the context has room for, after it was shifted where that is due. 0: the job lost its
// place or failed.
int64_t Engine::Impl::rows_before_shift(Job& job, int64_t rows) {
  while (rows > 0 && job.shift.discard > 0) {
    Sequence& s = *job.sequence;
    const bool whole = static_cast<int64_t>(job.tokens.size()) <= context;
    if (job.shift.lost && whole) job.shift.lost = false;
    if (job.shift.lost && s.size() > job.shift.keep) s.truncate(job.shift.keep);
    const int64_t limit = job.shift.lost ? job.shift.keep : s.dropped() > 0 ? shifted_limit(s.keep()) : context;
    if (s.in_view() < limit) return std::min({rows, limit - s.in_view(), job.remaining()});
    const Status status = job.shift.lost ? skip(job) : shift(job);
    if (status) {
      ++stats.shifts;
    } else if (!relieve(job)) {
      finish(job, status.error());
      return 0;
    } else if (!job.sequence) {
      return 0;
    }
  }
  return rows;
}

Status Engine::Impl::shift(Job& job) {
  Sequence& s = *job.sequence;
  const int64_t keep = s.dropped() > 0 ? s.keep() : job.shift.keep;
  const int64_t least = whole_pages(s.in_view() + 1 - shifted_limit(keep));
  const int64_t discard = std::min(std::max(job.shift.discard, least), full_pages(s.in_view() - keep));
  LINNET_CHECK(
      s.shift(keep, discard, [this](int32_t g, std::byte* page, int64_t n) { forward->rotate_page(g, page, n); }));
  job.completion.discarded_tokens += discard;
  return {};
}

// As many discards at once as the text needs to fit, and a row to compute at least.
Status Engine::Impl::skip(Job& job) {
  Sequence& s = *job.sequence;
  const int64_t keep = s.size(), positions = static_cast<int64_t>(job.tokens.size());
  const int64_t over = positions - shifted_limit(keep), discard = job.shift.discard;
  const int64_t skipped = std::min((over + discard - 1) / discard * discard, full_pages(positions - 1 - keep));
  const auto tokens = std::span(job.tokens).subspan(static_cast<size_t>(keep), static_cast<size_t>(skipped));
  LINNET_CHECK(s.skip(tokens, [this](int32_t g, std::byte* page, int64_t n) { forward->rotate_page(g, page, n); }));
  job.shift.lost = false;
  job.completion.discarded_tokens += skipped;
  // Neither computed nor found in the cache, so no hits.
  const int64_t end = std::min(keep + skipped, job.prompt_size);
  if (keep < end) std::fill(job.computed_here.begin() + keep, job.computed_here.begin() + end, true);
  return {};
}

// Of a preempted job: its pages go back, and if they cannot be computed again their content is kept.
void Engine::Impl::park(Job& victim) {
  try {
    const Sequence& s = *victim.sequence;
    if (s.dropped() > 0) victim.parked = {s.park(), s.keep(), s.dropped()};
    victim.sequence.reset();
  } catch (const std::bad_alloc&) { finish(victim, {Code::out_of_memory, "out of memory"}); }
}

bool Engine::Impl::find_room(const Job& job) {
  bool room = fits(job);
  while (!room && (conversations.release_oldest() || park_displaced(job))) room = fits(job);
  return room;
}

bool Engine::Impl::admit_parked(Job& job) {
  const bool alone = scheduler.running().empty();
  if (!find_room(job) && !alone) return false;
  Result<Sequence> sequence = Sequence::resume(pool, job.parked->bytes);
  if (!sequence && !alone) return false;
  if (!sequence) {
    finish(job, sequence.error());
    return true;
  }
  job.sequence = std::move(*sequence);
  job.parked.reset();
  scheduler.admit(job.id);
  return true;
}

}  // namespace linnet

#include "kernels/cpu/pool.h"

#include <atomic>
#include <cassert>
#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace linnet {
namespace {

// A wait spins this long before it sleeps: longer than the members of a team usually drift apart, much shorter than a
// time slice, so that a member without a core costs little. With more members than cores nobody spins.
constexpr int64_t kSpinNanoseconds = 20'000;

#if defined(__SSE__)
void pause_cpu() { _mm_pause(); }

// Rounding to nearest even, subnormals kept: canonical arithmetic needs both.
class DefaultRounding {
 public:
  DefaultRounding() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultRounding() { _mm_setcsr(saved_); }
  DefaultRounding(const DefaultRounding&) = delete;
  DefaultRounding& operator=(const DefaultRounding&) = delete;

 private:
  unsigned saved_;
};
#else
void pause_cpu() { std::this_thread::yield(); }
struct DefaultRounding {};
#endif

// Returns when `word` is no longer `old`.
void wait_while(const std::atomic<uint32_t>& word, uint32_t old, bool spin) {
  if (spin) {
    const auto start = std::chrono::steady_clock::now();
    do {
      for (int i = 0; i < 16; ++i) {
        if (word.load(std::memory_order_acquire) != old) return;
        pause_cpu();
      }
    } while ((std::chrono::steady_clock::now() - start).count() < kSpinNanoseconds);
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

}  // namespace

// Words that different members write lie on cache lines of their own (two, since neighbours are fetched in pairs).
struct Pool::Impl {
  alignas(128) std::atomic<uint32_t> work_number{0};  // counts run(); workers wait for it to change
  alignas(128) std::atomic<uint32_t> arrived{0};      // members waiting at the barrier
  alignas(128) std::atomic<uint32_t> phase{0};        // counts completed barriers
  alignas(128) std::atomic<bool> running{false};

  // Written by the caller before work_number, read by workers after it.
  TeamWork work = nullptr;
  void* context = nullptr;
  bool stop = false;

  bool spin = false;
  int32_t size = 1;
  std::vector<std::thread> threads;

  void worker(Pool* pool, int32_t rank);
  void barrier();
};

void Pool::Impl::barrier() {
  const uint32_t here = phase.load(std::memory_order_relaxed);  // cannot change before this member has arrived
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(size)) {
    arrived.store(0, std::memory_order_relaxed);
    phase.fetch_add(1);
    phase.notify_all();
  } else {
    wait_while(phase, here, spin);
  }
}

void Pool::Impl::worker(Pool* pool, int32_t rank) {
  const DefaultRounding rounding;
  for (uint32_t number = 0;; ++number) {
    wait_while(work_number, number, spin);
    if (stop) return;
    work(context, Team{rank, size, pool});
    barrier();
  }
}

Pool::Pool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Pool>> Pool::create(int32_t size) {
  if (size < 1 || size > 256)
    return fail(Code::invalid_argument, "the number of threads must be 1 to 256, not {}; change the option", size);
  std::unique_ptr<Pool> pool(new Pool(std::make_unique<Impl>()));
  Impl& impl = *pool->impl_;
  impl.spin = static_cast<uint32_t>(size) <= std::thread::hardware_concurrency();
  impl.threads.reserve(static_cast<size_t>(size - 1));
  impl.size = size;
  for (int32_t rank = 1; rank < size; ++rank) {
    try {
      impl.threads.emplace_back([self = pool.get(), rank] { self->impl_->worker(self, rank); });
    } catch (const std::system_error& e) {
      return fail(Code::thread_start,
                  "the system gave {} of {} threads for computing ({}); ask for fewer threads or raise the limit "
                  "(ulimit -u)",
                  rank, size, e.code().message());
    }
  }
  return pool;
}

Pool::~Pool() {
  impl_->stop = true;
  impl_->work_number.fetch_add(1);
  impl_->work_number.notify_all();
  for (std::thread& t : impl_->threads) t.join();
}

int32_t Pool::size() const { return impl_->size; }

void Pool::run(TeamWork work, void* context) {
  if (impl_->size == 1) return run_alone(work, context);
  [[maybe_unused]] const bool nested = impl_->running.exchange(true);
  assert(!nested && "Pool::run inside Pool::run, or from two threads");
  const DefaultRounding rounding;
  impl_->work = work;
  impl_->context = context;
  impl_->work_number.fetch_add(1);
  impl_->work_number.notify_all();
  work(context, Team{0, impl_->size, this});
  impl_->barrier();
  impl_->running.store(false);
}

void Pool::run_alone(TeamWork work, void* context) {
  [[maybe_unused]] const bool nested = impl_->running.exchange(true);
  assert(!nested && "Pool::run inside Pool::run, or from two threads");
  const DefaultRounding rounding;
  work(context, Team{0, 1, this});
  impl_->running.store(false);
}

void Team::barrier() const {
  if (size > 1) pool->impl_->barrier();
}

void run_on_team(Pool& pool, TeamWork work, void* context) { pool.run(work, context); }
void run_on_caller(Pool& pool, TeamWork work, void* context) { pool.run_alone(work, context); }
int32_t team_size(const Pool& pool) { return pool.size(); }

}  // namespace linnet

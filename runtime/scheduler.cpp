#include "runtime/scheduler.h"

#include <algorithm>

namespace linnet {
namespace {

void insert_sorted(std::vector<int64_t>& ids, int64_t id) {
  ids.insert(std::lower_bound(ids.begin(), ids.end(), id), id);
}

}  // namespace

Status Scheduler::submit(int64_t id) {
  const int64_t places = limits_.max_concurrent + limits_.queue_size;
  const int64_t taken = static_cast<int64_t>(queued_.size() + running_.size());
  if (taken >= places) {
    return fail(Code::busy,
                "the engine is busy: {} requests run and {} wait, and the queue takes no more than {}; try again",
                running_.size(), queued_.size(), limits_.queue_size);
  }
  // Room for each list to hold every request: admit() and preempt() cannot fail then.
  queued_.reserve(static_cast<size_t>(taken + 1));
  running_.reserve(static_cast<size_t>(taken + 1));
  queued_.push_back(id);
  return {};
}

int64_t Scheduler::next() const {
  const bool room = static_cast<int64_t>(running_.size()) < limits_.max_concurrent;
  return room && !queued_.empty() ? queued_.front() : 0;
}

void Scheduler::admit(int64_t id) {
  std::erase(queued_, id);
  insert_sorted(running_, id);
}

int64_t Scheduler::preempt() {
  if (running_.size() < 2) return 0;
  const int64_t id = running_.back();
  running_.pop_back();
  insert_sorted(queued_, id);
  return id;
}

void Scheduler::remove(int64_t id) {
  std::erase(queued_, id);
  std::erase(running_, id);
}

std::vector<Grant> Scheduler::plan(std::span<const Demand> demands) const {
  std::vector<Grant> grants;
  int64_t left = limits_.batch_tokens;
  const auto grant = [&](const Demand& demand) {
    const int64_t rows = std::min(demand.rows, left);
    if (rows <= 0) return;
    grants.push_back({demand.id, rows});
    left -= rows;
  };
  for (const Demand& demand : demands) {
    if (demand.decode) grant(demand);
  }
  for (const Demand& demand : demands) {
    if (!demand.decode && !demand.waits) grant(demand);
  }
  return grants;
}

}  // namespace linnet

#include "runtime/scheduler.h"

#include <algorithm>

namespace linnet {
namespace {

void insert_sorted(std::vector<int64_t>& ids, int64_t id) {
  ids.insert(std::lower_bound(ids.begin(), ids.end(), id), id);
}

}  // namespace

int64_t Scheduler::least_served() const {
  int64_t least = -1;
  for (const auto& [id, client] : clients_) {
    if (client.requests > 0 && (least < 0 || client.rows < least)) least = client.rows;
  }
  return std::max<int64_t>(least, 0);
}

Status Scheduler::submit(int64_t id, Priority priority, int64_t client) {
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
  const int64_t floor = least_served();
  if (client != 0) {
    const auto [place, fresh] = clients_.try_emplace(client);
    if (fresh) place->second.rows = floor;
  }
  try {
    requests_[id] = {priority, client, 0, floor};
  } catch (...) {
    if (client != 0 && clients_.at(client).requests == 0) clients_.erase(client);
    throw;
  }
  if (client != 0) ++clients_.at(client).requests;
  queued_.push_back(id);
  return {};
}

int64_t Scheduler::served(const Waiting& request) const {
  return request.client == 0 ? request.floor : clients_.at(request.client).rows;
}

// Whether request a goes before b. With age among those that wait, without among those that run.
bool Scheduler::before(int64_t a, int64_t b, bool aged) const {
  const Waiting& x = requests_.at(a);
  const Waiting& y = requests_.at(b);
  if (limits_.priorities) {
    const auto rank = [&](const Waiting& w) {
      return static_cast<int64_t>(w.priority) + (aged ? w.passed / kAgeing : 0);
    };
    if (rank(x) != rank(y)) return rank(x) > rank(y);
  }
  if (limits_.fair && served(x) != served(y)) return served(x) < served(y);
  return a < b;
}

int64_t Scheduler::first_waiting() const {
  const auto it =
      std::min_element(queued_.begin(), queued_.end(), [&](int64_t a, int64_t b) { return before(a, b, true); });
  return it == queued_.end() ? 0 : *it;
}

int64_t Scheduler::next() const {
  return static_cast<int64_t>(running_.size()) < limits_.max_concurrent ? first_waiting() : 0;
}

int64_t Scheduler::displaced() const {
  if (!limits_.priorities || queued_.empty() || running_.empty()) return 0;
  if (static_cast<int64_t>(running_.size()) < limits_.max_concurrent) return 0;
  const auto it =
      std::max_element(running_.begin(), running_.end(), [&](int64_t a, int64_t b) { return before(a, b, false); });
  return requests_.at(first_waiting()).priority > requests_.at(*it).priority ? *it : 0;
}

void Scheduler::admit(int64_t id) {
  std::erase(queued_, id);
  insert_sorted(running_, id);
  requests_.at(id).passed = 0;  // displaced, it goes behind whoever took its place
  for (const int64_t other : queued_) ++requests_.at(other).passed;
}

int64_t Scheduler::last() const {
  if (running_.size() < 2) return 0;
  return *std::max_element(running_.begin(), running_.end(), [&](int64_t a, int64_t b) { return before(a, b, false); });
}

void Scheduler::preempt(int64_t id) {
  std::erase(running_, id);
  insert_sorted(queued_, id);
}

void Scheduler::remove(int64_t id) {
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  std::erase(queued_, id);
  std::erase(running_, id);
  const int64_t client = it->second.client;
  if (client != 0 && --clients_.at(client).requests == 0) clients_.erase(client);
  requests_.erase(it);
}

std::vector<Grant> Scheduler::plan(std::span<const Demand> demands) {
  std::vector<Grant> grants;
  grants.reserve(demands.size());
  int64_t left = limits_.batch_tokens;
  const auto grant = [&](const Demand& demand) {
    const int64_t rows = std::min(demand.rows, left);
    if (rows <= 0) return;
    grants.push_back({demand.id, rows});
    left -= rows;
    const auto request = requests_.find(demand.id);
    if (request == requests_.end() || request->second.client == 0) return;
    clients_.at(request->second.client).rows += rows;
  };
  std::vector<const Demand*> order;
  order.reserve(demands.size());
  for (const Demand& demand : demands) order.push_back(&demand);
  std::sort(order.begin(), order.end(), [&](const Demand* a, const Demand* b) { return before(a->id, b->id, false); });
  for (const Demand* demand : order) {
    if (demand->decode) grant(*demand);
  }
  for (const Demand* demand : order) {
    if (!demand->decode && !demand->waits) grant(*demand);
  }
  return grants;
}

}  // namespace linnet

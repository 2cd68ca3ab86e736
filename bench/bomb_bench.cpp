// Every bomb of tests/bombs.h, the time from its text to its sentence, and the worst: the least CPU time of three, since a
// machine is seldom idle. A grammar is compiled for a vocabulary of about 150,000 tokens.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>
#include <string>

#include "bench/vocabulary.h"
#include "tests/bombs.h"

namespace linnet {
namespace {

double milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * double(now.tv_sec) + 1e-6 * double(now.tv_nsec);
}

int run() {
  const auto vocabulary = made_up_vocabulary();
  const auto trie = std::make_shared<const TokenTrie>(vocabulary);
  double worst = 0;
  std::string worst_name;
  const std::vector<Bomb> all = bombs();
  for (const Bomb& bomb : all) {
    double best = std::numeric_limits<double>::infinity();
    Status answer;
    for (int i = 0; i < 3; ++i) {
      const double start = milliseconds();
      answer = set_off(bomb, trie);
      best = std::min(best, milliseconds() - start);
    }
    const std::string name = fmt::format("{}: {}", bomb_kind_name(bomb.kind), bomb.name);
    fmt::print("{:48} {:8.2f} ms  {:.80}\n", name, best, answer ? "accepted" : answer.error().message);
    if (best <= worst) continue;
    worst = best;
    worst_name = name;
  }
  fmt::print("{} bombs; the worst takes {:.1f} ms ({})\n", all.size(), worst, worst_name);
  return 0;
}

}  // namespace
}  // namespace linnet

int main() { return linnet::run(); }

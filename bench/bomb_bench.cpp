// Every bomb of tests/bombs.h, the time from its text to its sentence, and the worst: the least CPU time of three, since a
// machine is seldom idle. A grammar is compiled for a vocabulary of about 150,000 tokens.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>
#include <map>
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
  size_t count = 0;
  for (const Bomb& bomb : bombs()) {
    ++count;
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
  const TextVocabulary letters(ambiguous_tokens());
  const auto letter_trie = std::make_shared<const TokenTrie>(letters);
  for (const AmbiguousGrammar& bomb : ambiguous_grammars()) {
    std::map<std::string, double> least;  // of three runs the worst step of its kind
    Status answer;
    for (int i = 0; i < 3; ++i) {
      std::map<std::string, double> most;
      double before = milliseconds();
      answer = generate_ambiguously(bomb, letters, letter_trie, [&](const char* step) {
        const double now = milliseconds();
        most[step] = std::max(most[step], now - before);
        before = milliseconds();
      });
      for (const auto& [step, time] : most) least[step] = i == 0 ? time : std::min(least[step], time);
    }
    least.erase("");
    std::string times;
    for (const auto& [step, time] : least) {
      times += fmt::format("{} {:.2f}  ", step, time);
      if (time <= worst) continue;
      worst = time;
      worst_name = fmt::format("{} of {}", step, bomb.name);
    }
    fmt::print("generating: {:36} {}ms  {:.60}\n", bomb.name, times, answer ? "" : answer.error().message);
    ++count;
  }
  fmt::print("{} bombs; the worst takes {:.1f} ms ({})\n", count, worst, worst_name);
  return 0;
}

}  // namespace
}  // namespace linnet

int main() { return linnet::run(); }

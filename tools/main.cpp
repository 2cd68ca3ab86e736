// The `linnet` command. Exit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 wrong usage, 130 interrupted.
#include <csignal>
#include <cstdio>
#include <new>

#include "gguf/base/json.h"
#include "tools/command.h"

namespace linnet {
namespace {

int report(const Error& error, bool json) {
  if (json)
    fmt::print("{{\"error\":{{\"code\":{},\"message\":{}}}}}\n", json_quote(code_name(error.code)),
               json_quote(error.message));
  fmt::print(stderr, "linnet: {}\n", error.message);
  return error.code == Code::cancelled ? kInterrupted : kFailed;
}

int run_command(Command& command) {
  for (const ConfigWarning& warning : command.warnings()) fmt::print(stderr, "warning: {}\n", warning.text());
  if (!command.problem()) {
    report(command.problem().error(), command.json());
    return command.problem().error().code == Code::option_type ? kUsage : kFailed;
  }
  auto code = command.run();
  if (!code) return report(code.error(), command.json());
  return *code;
}

int main_with(int argc, char** argv) {
  CommandLine line("Linnet runs language models from GGUF files on its own kernels.", "linnet " LINNET_VERSION,
                   "Without MODEL, the small model that comes along is used. linnet COMMAND --help tells all about a "
                   "command.\nExit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.");
  auto commands = all_commands();
  Command* chosen = nullptr;
  for (auto& command : commands) {
    Arguments args = line.subcommand(command->name(), command->summary(), [&] { chosen = command.get(); });
    command->declare(args);
  }
  switch (line.parse(argc, argv)) {
    case CommandLine::Outcome::answered:
      return kDone;
    case CommandLine::Outcome::wrong:
      return kUsage;
    case CommandLine::Outcome::parsed:
      break;
  }
  return run_command(*chosen);
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  std::signal(SIGINT, [](int) { linnet::interrupted() = true; });
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return linnet::main_with(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("linnet: out of memory; use a smaller model, context or batch\n", stderr);
    return linnet::kFailed;
  }
}

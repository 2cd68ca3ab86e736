// The list of subcommands; each is defined in the file of its name.
#pragma once

#include <memory>

#include "tools/command.h"

namespace linnet {

std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_chat();
std::unique_ptr<Command> make_tokenize();
std::unique_ptr<Command> make_detokenize();
std::unique_ptr<Command> make_logits();
std::unique_ptr<Command> make_embed();
std::unique_ptr<Command> make_perplexity();
std::unique_ptr<Command> make_inspect();
std::unique_ptr<Command> make_validate();
std::unique_ptr<Command> make_bench();
std::unique_ptr<Command> make_plan();
std::unique_ptr<Command> make_load_test();
std::unique_ptr<Command> make_quantize();
std::unique_ptr<Command> make_imatrix();
std::unique_ptr<Command> make_synth();
std::unique_ptr<Command> make_template();
std::unique_ptr<Command> make_record();
std::unique_ptr<Command> make_sample();
std::unique_ptr<Command> make_options();
std::unique_ptr<Command> make_config();

}  // namespace linnet

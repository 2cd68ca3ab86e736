#include "tools/commands.h"

namespace linnet {

std::vector<std::unique_ptr<Command>> all_commands() {
  std::vector<std::unique_ptr<Command>> all;
  for (auto make :
       {make_run,       make_chat,     make_tokenize,   make_detokenize, make_template, make_logits, make_record,
        make_sample,    make_embed,    make_perplexity, make_inspect,    make_validate, make_plan,   make_bench,
        make_load_test, make_quantize, make_imatrix,    make_synth,      make_options,  make_config})
    all.push_back(make());
  return all;
}

}  // namespace linnet

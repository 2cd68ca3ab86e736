// Mamba (Gu and Dao 2023, arXiv 2312.00752): selective state spaces instead of attention, and Falcon Mamba (2410.05355),
// which norms the time step, B and C.
#include "runtime/arch/arch.h"

namespace linnet {

Result<Facts> mamba_facts(const Keys& keys) {
  LINNET_TRY(Facts f, basic_facts(keys, Norm::rms));
  f.rope = Rope::none;
  RecurrentFacts& r = f.recurrent;
  LINNET_TRY(r.taps, keys.integer("ssm.conv_kernel", 1, 256));
  LINNET_TRY(r.inner, keys.integer("ssm.inner_size", 1, 1 << 20));
  LINNET_TRY(r.states, keys.integer("ssm.state_size", 1, 4096));
  LINNET_TRY(r.rank, keys.integer("ssm.time_step_rank", 1, 1 << 20));
  LINNET_TRY(r.norms, keys.boolean_or("ssm.dt_b_c_rms", false));
  return f;
}

}  // namespace linnet

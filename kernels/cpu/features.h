// What this machine can run. Compiled without wide flags, so that asking is always safe.
#pragma once

namespace linnet {

bool cpu_runs_scalar();
bool cpu_runs_avx2();    // AVX2, FMA, F16C
bool cpu_runs_avx512();  // F, BW, VL, DQ, VNNI, VBMI, and what cpu_runs_avx2() says

}  // namespace linnet

#include "kernels/cpu/backend.h"
#include "kernels/cpu/features.h"
#include "kernels/cpu/matrix_avx512.h"
#include "kernels/cpu/simd_avx512.h"

namespace linnet {

extern constinit const Kernels cpu_avx512 = make<Avx512>("avx512", cpu_runs_avx512);

}  // namespace linnet

#include "kernels/cpu/backend.h"
#include "kernels/cpu/features.h"
#include "kernels/cpu/matrix_avx2.h"
#include "kernels/cpu/simd_avx2.h"

namespace linnet {

extern constinit const Kernels cpu_avx2 = make<Avx2>("avx2", cpu_runs_avx2);

}  // namespace linnet

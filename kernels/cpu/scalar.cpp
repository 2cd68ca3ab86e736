#include "kernels/cpu/backend.h"
#include "kernels/cpu/features.h"
#include "kernels/cpu/matrix_scalar.h"
#include "kernels/cpu/simd_scalar.h"

namespace linnet {

extern constinit const Kernels cpu_scalar = make<Scalar>("scalar", cpu_runs_scalar);

}  // namespace linnet

// Functions that kernels/cpu's instruction-set files share with the rest of the program must leave no symbol behind:
// a weak copy compiled with wider instructions could be the one the linker keeps for everybody (tests/tools checks nm).
#pragma once

#define LINNET_INLINE inline __attribute__((always_inline))

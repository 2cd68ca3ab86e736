// A shared library that is no sampler library.
#include "capi/linnet_sampler.h"

extern "C" LINNET_SAMPLER_EXPORT int something_else() { return 1; }

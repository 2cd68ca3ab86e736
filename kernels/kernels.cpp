#include "kernels/kernels.h"

#include <cstring>

namespace linnet {

extern const Kernels cpu_avx512;
extern const Kernels cpu_avx2;
extern const Kernels cpu_scalar;

namespace {

constexpr const Kernels* kBestFirst[] = {&cpu_avx512, &cpu_avx2, &cpu_scalar};

}  // namespace

KernelList all_kernels() { return {kBestFirst, static_cast<int32_t>(sizeof kBestFirst / sizeof kBestFirst[0])}; }

const Kernels* find_kernels(const char* name) {
  for (const Kernels* k : kBestFirst)
    if ((name[0] == '\0' || std::strcmp(name, k->name) == 0) && k->supported()) return k;
  return nullptr;
}

}  // namespace linnet

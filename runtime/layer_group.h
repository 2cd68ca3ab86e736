// Layers that keep their keys and values in the same way share pages: one page holds 64 tokens of all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace linnet {

struct LayerGroup {
  int64_t window = 0;  // 0: every earlier position is visible; else the last `window` positions, own included
  bool causal = true;  // false: rows see the whole sequence, so that all of it must be computed in one step
  // true: a page holds the layers' state after its last computed position (of each layer [taps - 1][inner] and
  // [inner][states] float32, at k_offset and v_offset) instead of keys and values, and a row needs the page before it.
  bool recurrent = false;
  int32_t kv_heads = 0;
  int32_t k_dim = 0;
  int32_t v_dim = 0;
  KvType type = KvType::f16;
  int32_t device = 0;
  std::vector<KvLayer> layers;  // where each layer lies in a page, in model order
  int64_t page_bytes = 0;       // bytes of one page, a multiple of 64

  // The range of positions that a row at `position` attends to (causal).
  int64_t visible_begin(int64_t position) const {
    return window > 0 && position + 1 > window ? position + 1 - window : 0;
  }
};

}  // namespace linnet

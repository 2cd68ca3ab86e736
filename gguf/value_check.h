// Finds NaN and infinities in tensor data before they reach a computation.
#pragma once

#include "gguf/base/error.h"
#include "gguf/reader.h"

namespace linnet {

// Reads every block: the values of F64, F32, F16 and BF16 tensors, the scales and minima of quantized ones. Integer
// tensors always pass. The error (gguf_value_check) names the tensor, the block and its offset in the file.
Status check_values(const Tensor& tensor);

}  // namespace linnet

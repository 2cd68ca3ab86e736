// Custom samplers from shared libraries with the C interface of capi/linnet_sampler.h.
#pragma once

#include <memory>
#include <string>

#include "capi/linnet_sampler.h"
#include "capi/options.h"
#include "gguf/base/error.h"
#include "sampling/custom_sampler.h"

namespace linnet {

// Adds all samplers of a library. It stays loaded as long as the list, a copy of it or one of its samplers lives.
// io_not_found; unsupported when the file is no library, or none of this interface and version.
Status load_sampler_library(const std::string& path, CustomSamplers& samplers);

// The same from a table of this process, which stays valid as long as the list.
Status add_samplers(const linnet_sampler_library& library, CustomSamplers& samplers);

// Those of `sampler_libraries`; null when there are none.
Result<std::shared_ptr<const CustomSamplers>> custom_samplers(const Options& options);

}  // namespace linnet

// A model file as a page of HTML: its keys, and a drawing of every tensor by size and type.
#pragma once

#include <string>

#include "gguf/reader.h"

namespace linnet {

std::string model_page(const Gguf& file, const std::string& title);

}  // namespace linnet

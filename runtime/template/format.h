// Python's two ways to put values into a text: "%s, %d" % (a, b) and "{}, {name}".format(a, name=b).
#pragma once

#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "runtime/template/object.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

// `values` is a tuple, a dict for %(name)s, or the one value.
Result<Value> percent_format(Heap& heap, const Value& format, const Value& values);
Result<Value> brace_format(Run& run, const Value& format, const Arguments& arguments);

}  // namespace linnet::jinja

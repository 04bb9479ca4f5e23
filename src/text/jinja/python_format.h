// Python's two ways of formatting: "%s" % x and "{}".format(x).
#pragma once

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// format % values, where `values` is a tuple, a dict (for %(name)s) or a single value.
Value percent_format(Runtime& runtime, const MarkedString& format, const Value& values);
/// format.format(*args, **kwargs): fields, attributes, items, !r !s, and the specs of strings and numbers.
Value brace_format(Runtime& runtime, const MarkedString& format, const Args& args);

}  // namespace vortex::text::jinja

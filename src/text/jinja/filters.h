// The table of filters; two files fill it.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

using Filter = Value (*)(Runtime&, const Value&, Args);

struct FilterEntry {
  std::string_view name;
  Filter filter;
};

/// Filters of one value: text, numbers, default, tojson.
std::span<const FilterEntry> scalar_filters();
/// Filters of sequences and dicts: join, map, select, sort ...
std::span<const FilterEntry> sequence_filters();

}  // namespace vortex::text::jinja

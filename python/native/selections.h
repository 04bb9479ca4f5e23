// What a request selected, as arrays: behind Engine.explain().
#pragma once

#include <memory>

#include "engine/selection_recorder.h"
#include "native/module.h"

namespace vortex::python {

/// Read it only when the request has ended.
struct Selections {
  std::shared_ptr<SelectionRecord> record;
};

void add_selections(nanobind::module_& m);

}  // namespace vortex::python

#include "native/module.h"

namespace vortex::python {

void add_flow(nanobind::module_&) {}

}  // namespace vortex::python

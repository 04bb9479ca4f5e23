#include "native/module.h"

namespace vortex::python {

void add_engine(nanobind::module_&) {}

}  // namespace vortex::python

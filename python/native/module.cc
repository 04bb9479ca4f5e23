// vortex._native: the engine for Python. What users see is the Python package around it (python/vortex).
#include "native/module.h"

NB_MODULE(_native, m) {
  vortex::python::add_engine(m);
  vortex::python::add_flow(m);
  vortex::python::add_eval(m);
}

#include "native/module.h"

namespace vortex::python {
namespace nb = nanobind;

void raise(const Error& error) {
  const nb::object make = nb::module_::import_("vortex.errors").attr("make_error");
  const std::string_view code = error_code_name(error.code);
  const nb::object exception =
      make(nb::str(code.data(), code.size()), nb::str(error.where.data(), error.where.size()),
           nb::str(error.message.data(), error.message.size()), nb::str(error.hint.data(), error.hint.size()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

}  // namespace vortex::python

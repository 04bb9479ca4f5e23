// vortex._native: the engine for Python. What users see is the Python package around it (python/vortex).
#include "native/module.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "flow/source/places.h"

namespace vortex::python {
namespace nb = nanobind;
namespace fs = std::filesystem;
namespace {

/// This shared object; it lies in the folder of the package.
fs::path own_path() {
  Dl_info info{};
  return ::dladdr(reinterpret_cast<void*>(&own_path), &info) != 0 ? fs::path(info.dli_fname) : fs::path();
}

/// Python opens modules for themselves alone; flows in C++ link to this one (exports.list).
void offer_symbols(const fs::path& self) { ::dlopen(self.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL); }

/// The header of flows lies in an installed package; a build tree has it in the sources.
void tell_places(const fs::path& package) {
  flow::Places places;
  std::error_code ignored;
  if (fs::exists(package / "include" / "vortex" / "flow.h", ignored)) places.include = package / "include";
  places.python = package.parent_path();
  const nb::object executable = nb::module_::import_("sys").attr("executable");
  if (nb::isinstance<nb::str>(executable) && nb::len(executable) > 0)
    places.interpreter = nb::cast<nb::str>(executable).c_str();
  flow::set_places(std::move(places));
}

}  // namespace
}  // namespace vortex::python

NB_MODULE(_native, m) {
  const auto self = vortex::python::own_path();
  vortex::python::offer_symbols(self);
  vortex::python::tell_places(self.parent_path());
  vortex::python::add_engine(m);
  vortex::python::add_flow(m);
  vortex::python::add_eval(m);
}

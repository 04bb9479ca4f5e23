// What comes with the engine and lies beside it: the header of flows in C++, the front end of flows in Python. A
// program finds both by its own path; whoever carries the engine as a library says where they are.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace vortex::flow {

struct Places {
  std::filesystem::path include;        // holds vortex/flow.h
  std::filesystem::path python;         // holds the package vortex
  std::string interpreter = "python3";  // a path, or a name that is looked for in $PATH
};

/// For a process that is not the program `vortex`. Call it before flows are loaded, from one thread.
void set_places(Places places);

/// Where <vortex/flow.h> lies: below $VORTEX_INCLUDE_DIR, as set_places() said, beside this program when it is
/// installed (../include), or in the source tree that it was built from. kNotFound when it is in none of them.
Result<std::filesystem::path> flow_include_folder();

/// The folder that holds the Python package: $VORTEX_PYTHON_DIR, as set_places() said, ../lib/vortex/python, or the
/// source tree. Nothing: whatever the interpreter finds by itself.
std::optional<std::filesystem::path> python_package_folder();

/// $VORTEX_PYTHON, as set_places() said, or python3 of $PATH. kNotFound with what to install.
Result<std::filesystem::path> python_interpreter();

}  // namespace vortex::flow

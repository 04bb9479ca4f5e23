// What `vortex flow new` writes: a flow that works, and its test.
#pragma once

#include <string>

#include "base/result.h"

namespace vortex::cli {

/// "my_flow" gives the class MyFlow, "peaks" PeaksFlow.
std::string flow_class_name(const std::string& name);

/// Letters, digits and _, a letter first, at most 64. kUsage otherwise.
Status check_flow_name(const std::string& name);

enum class FlowLanguage { kCpp, kPython };

/// NAME.cc or NAME.py.
std::string flow_file_name(const std::string& name, FlowLanguage language);
std::string flow_skeleton(const std::string& name, FlowLanguage language);

/// NAME_test.sh: checks the flow for many shapes and answers a question with it. `program` is this program's path.
std::string flow_test_skeleton(const std::string& name, FlowLanguage language, const std::string& program);

}  // namespace vortex::cli

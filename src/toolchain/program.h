// Programs of this machine: where they are, and when they have changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vortex::toolchain {

/// Empty when it is not set.
std::string environment_variable(const char* name);

/// The parts that are not empty.
std::vector<std::string> split(const std::string& text, char separator);

/// A name with a '/' is taken as it is; others are looked for in $PATH.
std::optional<std::filesystem::path> find_program(const std::string& name);

/// The file that runs, its size and its time of change: a new version is a new file, and nothing has to be run.
std::string program_identity(const std::filesystem::path& program);

}  // namespace vortex::toolchain

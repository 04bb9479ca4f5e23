// A fuzz target: one function over bytes, run by libFuzzer (clang) or by our own driver (any compiler).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace vortex::fuzz {

/// Runs the code under test. The text tells outcomes apart ("parsed", or the error), so that the driver can keep
/// inputs that reach something new.
std::string run_target(std::span<const std::byte> input);

/// Well-formed inputs to start from.
std::vector<std::string> seeds();

/// Reads every byte, so that a view that leads outside is seen by the sanitizer.
void touch(std::span<const std::byte> bytes);

}  // namespace vortex::fuzz

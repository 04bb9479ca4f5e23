// Random changes of an input: bits, bytes, integers that lie, cuts, copies and splices.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace vortex::fuzz {

inline constexpr size_t kMaxInputBytes = 1 << 16;

/// A changed copy of a random member of `corpus`; one to eight changes, at most kMaxInputBytes.
std::string mutate(const std::vector<std::string>& corpus, std::mt19937_64& random);

}  // namespace vortex::fuzz

// Split patterns that more than one reader needs.
#pragma once

namespace vortex::text {

/// GPT-2: contractions, then letters, numbers or others with a space before them, then white space.
inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr const char* kDigitPattern = R"(\p{N})";

}  // namespace vortex::text

// The largest values a config may name: far above any model, low enough that products of two fit int64.
#pragma once

namespace vortex::limits {

inline constexpr int kVocab = 1 << 24;
inline constexpr int kHidden = 1 << 20;
inline constexpr int kIntermediate = 1 << 24;
inline constexpr int kLayers = 4096;
inline constexpr int kHeads = 1 << 14;
inline constexpr int kHeadDim = 4096;
inline constexpr int kExperts = 1 << 14;
inline constexpr int kPositions = 1 << 30;
inline constexpr double kRopeTheta = 1e15;
inline constexpr double kRopeFactor = 1e6;

}  // namespace vortex::limits

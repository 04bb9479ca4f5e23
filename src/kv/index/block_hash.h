// BlockHash: what a slab of a prompt holds, and all tokens before it, as one number that cannot be forged.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vortex::kv {

/// SHA-256 over the hash of the slab before and the slab's token ids. The first slab continues a hash of the salt, so
/// that requests of different salts share nothing and learn nothing of each other.
using BlockHash = std::array<uint8_t, 32>;

/// The hashes of the whole slabs of `tokens`; a tail shorter than `slab_tokens` has none. `known` are hashes of the
/// first slabs from an earlier call on a prefix of the same tokens.
void extend_block_hashes(std::string_view salt, std::span<const int32_t> tokens, int slab_tokens,
                         std::vector<BlockHash>* known);

}  // namespace vortex::kv

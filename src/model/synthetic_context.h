// Noise in place of the K and V of a long prompt: for benchmarks whose prefill would take longer than the day.
#pragma once

#include <cstdint>
#include <span>

#include "attention/attention.h"
#include "model/decoder.h"
#include "tensor/paged.h"

namespace vortex::model {

/// Writes noise of unit scale to tokens [0, count) of the sequence whose slabs are `table`, in every layer, and runs
/// the flow's forward_cache on the pages that are full. Latent pages have no v.
void fill_synthetic_context(std::span<const SlabId> table, int64_t count, std::span<const PageView> layers, bool latent,
                            const Sparsity& sparsity, attention::AttentionOps* attention);

}  // namespace vortex::model

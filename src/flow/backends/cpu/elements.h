// Numbers as fields store them: between the pool and the floats of a tile.
#pragma once

#include "flow/backends/cpu/isa/tile_kernels.h"
#include "tensor/paged.h"

namespace vortex::flow {

Element element_of(DType dtype);

/// A page of a field as floats, and back.
void load_page(const TileKernels& kernels, const FieldView& field, const std::byte* page, float* out);
void store_page(const TileKernels& kernels, const FieldView& field, const float* x, std::byte* page);

/// Rounds n floats to the type and back; out may be x.
void round_floats(const TileKernels& kernels, DType dtype, const float* x, float* out, int64_t n);

}  // namespace vortex::flow

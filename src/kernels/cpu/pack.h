// Rearranges a weight matrix into panels (panel_layout.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/tensor_view.h"

namespace vortex::kernels::cpu {

/// Rows of one panel.
int panel_rows(DType dtype, int lanes);

/// Bytes of one panel of a matrix of `dtype` with `cols` columns.
int64_t panel_bytes(DType dtype, int64_t cols, int lanes);

/// Writes panel number `panel` to `out`; rows past the end of the matrix become zero weights.
void pack_panel(const TensorView& matrix, int64_t panel, int lanes, std::byte* out);

}  // namespace vortex::kernels::cpu

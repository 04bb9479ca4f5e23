// How the files of this folder put their loops into the table of their instruction set.
#pragma once

#include "flow/backends/cpu/isa/tile_kernels.h"

namespace vortex::VORTEX_ISA::tile {

void add_elementwise(flow::TileKernels* table);
void add_reductions(flow::TileKernels* table);
void add_products(flow::TileKernels* table);
void add_code_products(flow::TileKernels* table);
void add_rotation(flow::TileKernels* table);
void add_filters(flow::TileKernels* table);
void add_conversions(flow::TileKernels* table);

}  // namespace vortex::VORTEX_ISA::tile

// The kernels of one instruction set.
#include "flow/backends/cpu/isa/isa_table.h"

namespace vortex::VORTEX_ISA {

void fill_tile_kernels(flow::TileKernels* table) {
  tile::add_elementwise(table);
  tile::add_reductions(table);
  tile::add_products(table);
  tile::add_code_products(table);
  tile::add_rotation(table);
  tile::add_filters(table);
  tile::add_conversions(table);
}

}  // namespace vortex::VORTEX_ISA

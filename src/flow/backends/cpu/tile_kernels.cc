#include "flow/backends/cpu/isa/tile_kernels.h"

namespace vortex {

namespace portable {
void fill_tile_kernels(flow::TileKernels* table);
}
#if defined(__x86_64__)
namespace avx2 {
void fill_tile_kernels(flow::TileKernels* table);
}
namespace avx512 {
void fill_tile_kernels(flow::TileKernels* table);
}
#elif defined(__aarch64__)
namespace neon {
void fill_tile_kernels(flow::TileKernels* table);
}
#endif

namespace flow {
namespace {

TileKernels make_table(void (*fill)(TileKernels*)) {
  TileKernels table{};
  fill(&table);
  return table;
}

}  // namespace

// A table is filled by code of its own instruction set: only the one that is asked for is touched.
const TileKernels& tile_kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) {
    static const TileKernels kAvx512 = make_table(avx512::fill_tile_kernels);
    return kAvx512;
  }
  if (isa == Isa::kAvx2) {
    static const TileKernels kAvx2 = make_table(avx2::fill_tile_kernels);
    return kAvx2;
  }
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) {
    static const TileKernels kNeon = make_table(neon::fill_tile_kernels);
    return kNeon;
  }
#endif
  static_cast<void>(isa);
  static const TileKernels kPortable = make_table(portable::fill_tile_kernels);
  return kPortable;
}

}  // namespace flow
}  // namespace vortex

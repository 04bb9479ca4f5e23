#include "kernels/cpu/isa_kernels.h"

namespace vortex {
namespace portable {
extern const kernels::cpu::IsaKernels kDenseKernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const kernels::cpu::IsaKernels kDenseKernels;
}
namespace avx512 {
extern const kernels::cpu::IsaKernels kDenseKernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const kernels::cpu::IsaKernels kDenseKernels;
}
#endif
}  // namespace vortex

namespace vortex::kernels::cpu {

const IsaKernels& isa_kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::kDenseKernels;
  if (isa == Isa::kAvx2) return avx2::kDenseKernels;
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return neon::kDenseKernels;
#endif
  (void)isa;
  return portable::kDenseKernels;
}

}  // namespace vortex::kernels::cpu

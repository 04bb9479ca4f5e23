#include "kernels/dense_ops.h"

namespace vortex::kernels {

std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool*) { return make_ref_dense_ops(); }

}  // namespace vortex::kernels

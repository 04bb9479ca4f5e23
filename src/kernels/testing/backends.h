// Every implementation of DenseOps that this machine can run, for tests with one body for all.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "kernels/cpu/cpu_dense_ops.h"

namespace vortex::kernels::testing {

struct Backend {
  std::string name;
  std::optional<Isa> isa;  // none: the reference
  int threads = 1;
};

struct Instance {
  explicit Instance(const Backend& backend)
      : pool(backend.threads), ops(backend.isa ? make_cpu_dense_ops(&pool, *backend.isa) : make_ref_dense_ops()) {}
  WorkerPool pool;
  std::unique_ptr<DenseOps> ops;
};

/// The reference, and the CPU kernels of each instruction set.
inline std::vector<Backend> backends() {
  std::vector<Backend> all = {{"ref", std::nullopt}};
  for (const Isa isa : available_isas(cpu_features())) all.push_back({std::string(isa_name(isa)), isa, 2});
  return all;
}

}  // namespace vortex::kernels::testing

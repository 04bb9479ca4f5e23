// What this machine can do at most, to say how far a kernel is from it.
#pragma once

#include "base/cpu_features.h"
#include "base/worker_pool.h"

namespace vortex::bench {

struct Roofline {
  double read_gb_per_s = 0.0;    // reading memory far larger than the caches
  double fma_gflop_per_s = 0.0;  // float32 multiply-adds in registers, two operations each
  double int8_gop_per_s = 0.0;   // 8-bit multiply-adds of the block kernels' dot product, two operations each
};

/// The best of several short runs on all threads of the pool; takes about half a second.
Roofline measure_roofline(WorkerPool* pool, Isa isa);

/// One pool of all usable cores for every benchmark of a program, and what it reaches, measured at the first call.
WorkerPool& shared_pool();
const Roofline& shared_roofline();

}  // namespace vortex::bench

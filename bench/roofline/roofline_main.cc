// Prints what this machine can do at most as JSON: on one thread, and on all it may use.
#include <fmt/core.h>

#include "bench/roofline/roofline.h"

namespace {

std::string json(int threads, vortex::Isa isa) {
  vortex::WorkerPool pool(threads);
  const vortex::bench::Roofline r = vortex::bench::measure_roofline(&pool, isa);
  return fmt::format(
      R"({{"threads": {}, "read_gb_per_s": {:.2f}, "fma_gflop_per_s": {:.1f}, "int8_gop_per_s": {:.1f}}})", threads,
      r.read_gb_per_s, r.fma_gflop_per_s, r.int8_gop_per_s);
}

}  // namespace

int main() {
  const vortex::Result<vortex::Isa> isa = vortex::best_isa();
  if (!isa.ok()) {
    fmt::print(stderr, "{}\n", isa.error().to_string());
    return vortex::exit_status(isa.error().code);
  }
  fmt::print(R"({{"isa": "{}", "one": {}, "all": {}}})"
             "\n",
             vortex::isa_name(*isa), json(1, *isa), json(vortex::usable_threads(), *isa));
}

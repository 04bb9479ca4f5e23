// What this machine offers a process: instruction sets, threads it may run, memory it may use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vortex {

/// Instruction sets that both the processor and the operating system support.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool bmi = false;
  bool bmi2 = false;
  bool avx_vnni = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512dq = false;
  bool avx512vl = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool avx512_fp16 = false;
  bool amx_tile = false;
  bool amx_int8 = false;
  bool amx_bf16 = false;
  bool neon = false;
  bool dotprod = false;
  bool i8mm = false;
  std::string brand;  // as the processor names itself; empty when unknown
};

/// Detected once; the same for the life of the process.
const CpuFeatures& cpu_features();

/// "avx2 fma f16c": the names of the features that are present, for reports.
std::string feature_names(const CpuFeatures& features);

/// The levels kernels are built for. Of those that one processor can have, each includes the ones before it.
enum class Isa {
  kPortable,  // plain C++
  kAvx2,      // avx2, fma, f16c, bmi, bmi2
  kAvx512,    // and avx512 f, bw, dq, vl, vnni
  kNeon,      // of aarch64: neon, dotprod
};

std::string_view isa_name(Isa isa);

/// The levels that `features` allow, the lowest first: kPortable and perhaps more.
std::vector<Isa> available_isas(const CpuFeatures& features);

/// The highest of available_isas, or the one `wanted` names ("" is no wish). Error (configuration): a name that is
/// unknown, or a level this processor lacks.
Result<Isa> select_isa(const CpuFeatures& features, std::string_view wanted);

/// select_isa for this machine, with the wish taken from the environment variable VORTEX_ISA.
Result<Isa> best_isa();

/// Cores this process may use: affinity mask and quota of its cgroups, of version 1 or 2 (rounded up). At least 1.
int usable_threads();

/// Bytes this process can still hope for: the least of MemAvailable and the limits of its cgroups, of version 1 or 2.
/// 0 means unknown (no /proc), not that there is none.
uint64_t memory_limit_bytes();

namespace internal {
/// The limits read from /proc and /sys/fs/cgroup below `root` ("" is the real machine), for tests.
int cgroup_cpu_limit(const std::string& root);  // 0: none
uint64_t memory_limit_bytes(const std::string& root);
}  // namespace internal
}  // namespace vortex

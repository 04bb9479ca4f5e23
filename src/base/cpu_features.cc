#include "base/cpu_features.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace vortex {
namespace {

#if defined(__x86_64__)
struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero when the processor does not know the leaf.
Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

constexpr bool bit(uint32_t word, int index) { return ((word >> index) & 1u) != 0; }

// XCR0: the register state that the operating system saves on a context switch.
uint64_t saved_state() {
  if (!bit(cpuid(1).ecx, 27)) return 0;
  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

std::string brand_string() {
  std::array<char, 49> text{};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i);
    std::memcpy(text.data() + i * 16, &r, sizeof r);
  }
  const std::string brand(text.data());
  const std::size_t first = brand.find_first_not_of(' ');
  return first == std::string::npos ? "" : brand.substr(first, brand.find_last_not_of(' ') - first + 1);
}

CpuFeatures detect() {
  constexpr uint64_t kAvxState = 0x6, kAvx512State = 0xe6, kAmxState = 0x60000;
  const uint64_t saved = saved_state();
  const bool avx = (saved & kAvxState) == kAvxState;
  const bool avx512 = (saved & kAvx512State) == kAvx512State;
  const bool amx = (saved & kAmxState) == kAmxState;
  const Registers basic = cpuid(1), extended = cpuid(7), more = cpuid(7, 1);

  CpuFeatures f;
  f.fma = avx && bit(basic.ecx, 12);
  f.f16c = avx && bit(basic.ecx, 29);
  f.avx2 = avx && bit(extended.ebx, 5);
  f.bmi = bit(extended.ebx, 3);
  f.bmi2 = bit(extended.ebx, 8);
  f.avx_vnni = avx && bit(more.eax, 4);
  f.avx512f = avx512 && bit(extended.ebx, 16);
  f.avx512dq = avx512 && bit(extended.ebx, 17);
  f.avx512bw = avx512 && bit(extended.ebx, 30);
  f.avx512vl = avx512 && bit(extended.ebx, 31);
  f.avx512_vnni = avx512 && bit(extended.ecx, 11);
  f.avx512_fp16 = avx512 && bit(extended.edx, 23);
  f.avx512_bf16 = avx512 && bit(more.eax, 5);
  f.amx_bf16 = amx && bit(extended.edx, 22);
  f.amx_tile = amx && bit(extended.edx, 24);
  f.amx_int8 = amx && bit(extended.edx, 25);
  f.brand = brand_string();
  return f;
}
#elif defined(__aarch64__) && defined(__linux__)
CpuFeatures detect() {
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  CpuFeatures f;
  f.neon = (first & HWCAP_ASIMD) != 0;
  f.dotprod = (first & HWCAP_ASIMDDP) != 0;
  f.i8mm = (second & HWCAP2_I8MM) != 0;
  return f;
}
#else
CpuFeatures detect() { return {}; }
#endif

// As the flags that cmake/VortexIsa.cmake gives the compiler.
bool has(const CpuFeatures& f, Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kAvx2:
      return f.avx2 && f.fma && f.f16c && f.bmi && f.bmi2;
    case Isa::kAvx512:
      return has(f, Isa::kAvx2) && f.avx512f && f.avx512bw && f.avx512dq && f.avx512vl && f.avx512_vnni;
    case Isa::kNeon:
      return f.neon && f.dotprod;
  }
  return false;
}

constexpr Isa kIsas[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kNeon};

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::string feature_names(const CpuFeatures& f) {
  const std::pair<bool, std::string_view> all[] = {
      {f.avx2, "avx2"},
      {f.fma, "fma"},
      {f.f16c, "f16c"},
      {f.bmi, "bmi"},
      {f.bmi2, "bmi2"},
      {f.avx_vnni, "avx_vnni"},
      {f.avx512f, "avx512f"},
      {f.avx512bw, "avx512bw"},
      {f.avx512dq, "avx512dq"},
      {f.avx512vl, "avx512vl"},
      {f.avx512_vnni, "avx512_vnni"},
      {f.avx512_bf16, "avx512_bf16"},
      {f.avx512_fp16, "avx512_fp16"},
      {f.amx_tile, "amx_tile"},
      {f.amx_int8, "amx_int8"},
      {f.amx_bf16, "amx_bf16"},
      {f.neon, "neon"},
      {f.dotprod, "dotprod"},
      {f.i8mm, "i8mm"},
  };
  std::string names;
  for (const auto& [present, name] : all) {
    if (!present) continue;
    if (!names.empty()) names += ' ';
    names += name;
  }
  return names;
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kNeon:
      return "neon";
  }
  return "portable";
}

std::vector<Isa> available_isas(const CpuFeatures& features) {
  std::vector<Isa> isas;
  for (const Isa isa : kIsas)
    if (has(features, isa)) isas.push_back(isa);
  return isas;
}

Result<Isa> select_isa(const CpuFeatures& features, std::string_view wanted) {
  const Isa highest = available_isas(features).back();
  if (wanted.empty()) return highest;
  for (const Isa isa : kIsas) {
    if (wanted != isa_name(isa)) continue;
    if (has(features, isa)) return isa;
    return Error{ErrorCode::kConfiguration, "VORTEX_ISA", fmt::format("this processor has no {}", wanted),
                 fmt::format("the highest level here is {}", isa_name(highest))};
  }
  return Error{ErrorCode::kConfiguration, "VORTEX_ISA", fmt::format("unknown instruction set '{}'", wanted),
               "use portable, avx2, avx512 or neon"};
}

Result<Isa> best_isa() {
  const char* wanted = std::getenv("VORTEX_ISA");
  return select_isa(cpu_features(), wanted == nullptr ? "" : wanted);
}

}  // namespace vortex

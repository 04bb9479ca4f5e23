#include "base/cpu_features.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace vortex {
namespace {

CpuFeatures avx2_machine() {
  CpuFeatures features;
  features.avx2 = features.fma = features.f16c = features.bmi = features.bmi2 = true;
  return features;
}

CpuFeatures avx512_machine() {
  CpuFeatures features = avx2_machine();
  features.avx512f = features.avx512bw = features.avx512dq = features.avx512vl = features.avx512_vnni = true;
  return features;
}

CpuFeatures neon_machine() {
  CpuFeatures features;
  features.neon = features.dotprod = true;
  return features;
}

/// The line of /proc/cpuinfo that starts with `name`, with a space at its end; empty where there is none.
std::string cpuinfo_line(std::string_view name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return line + " ";
  }
  return "";
}

TEST(CpuFeatures, AgreeWithTheKernel) {
#if defined(__x86_64__)
  const std::string flags = cpuinfo_line("flags");
#else
  const std::string flags = cpuinfo_line("Features");
#endif
  if (flags.empty()) GTEST_SKIP() << "no flags in /proc/cpuinfo";  // under qemu-user it is the host's
  const CpuFeatures& features = cpu_features();
  const auto listed = [&](const char* flag) { return flags.find(std::string(" ") + flag + " ") != std::string::npos; };
  EXPECT_EQ(features.neon, listed("asimd"));
  EXPECT_EQ(features.dotprod, listed("asimddp"));
  EXPECT_EQ(features.i8mm, listed("i8mm"));
  EXPECT_EQ(features.avx2, listed("avx2"));
  EXPECT_EQ(features.fma, listed("fma"));
  EXPECT_EQ(features.f16c, listed("f16c"));
  EXPECT_EQ(features.bmi, listed("bmi1"));
  EXPECT_EQ(features.bmi2, listed("bmi2"));
  EXPECT_EQ(features.avx512f, listed("avx512f"));
  EXPECT_EQ(features.avx512bw, listed("avx512bw"));
  EXPECT_EQ(features.avx512vl, listed("avx512vl"));
  EXPECT_EQ(features.avx512_vnni, listed("avx512_vnni"));
  EXPECT_EQ(features.avx512_bf16, listed("avx512_bf16"));
#if defined(__x86_64__)
  EXPECT_FALSE(features.brand.empty());
#endif
}

TEST(CpuFeatures, NamesListWhatIsPresent) {
  EXPECT_EQ(feature_names({}), "");
  EXPECT_EQ(feature_names(avx2_machine()), "avx2 fma f16c bmi bmi2");
  EXPECT_EQ(feature_names(neon_machine()), "neon dotprod");
}

TEST(Isa, IsTheHighestTheProcessorHas) {
  EXPECT_EQ(*select_isa({}, ""), Isa::kPortable);
  EXPECT_EQ(*select_isa(avx2_machine(), ""), Isa::kAvx2);
  EXPECT_EQ(*select_isa(avx512_machine(), ""), Isa::kAvx512);
  CpuFeatures no_f16c = avx2_machine();
  no_f16c.f16c = false;
  EXPECT_EQ(*select_isa(no_f16c, ""), Isa::kPortable);
  CpuFeatures no_vnni = avx512_machine();
  no_vnni.avx512_vnni = false;
  EXPECT_EQ(*select_isa(no_vnni, ""), Isa::kAvx2);
  EXPECT_EQ(*select_isa(neon_machine(), ""), Isa::kNeon);
  CpuFeatures no_dotprod = neon_machine();
  no_dotprod.dotprod = false;
  EXPECT_EQ(*select_isa(no_dotprod, ""), Isa::kPortable);
}

TEST(Isa, TheAvailableOnesComeLowestFirst) {
  EXPECT_EQ(available_isas(avx512_machine()), (std::vector{Isa::kPortable, Isa::kAvx2, Isa::kAvx512}));
  EXPECT_EQ(available_isas(neon_machine()), (std::vector{Isa::kPortable, Isa::kNeon}));
}

TEST(Isa, AWishMayOnlyLowerIt) {
  EXPECT_EQ(*select_isa(avx512_machine(), "portable"), Isa::kPortable);
  EXPECT_EQ(*select_isa(avx512_machine(), "avx2"), Isa::kAvx2);
  const auto refused = select_isa(avx2_machine(), "avx512");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kConfiguration);
  EXPECT_EQ(refused.error().to_string(), "VORTEX_ISA: this processor has no avx512 (the highest level here is avx2)");
  EXPECT_FALSE(select_isa(neon_machine(), "avx2").ok());
  EXPECT_FALSE(select_isa(avx512_machine(), "neon").ok());
}

TEST(Isa, AnUnknownWishIsAnError) {
  const auto unknown = select_isa(avx2_machine(), "sse9");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().to_string(),
            "VORTEX_ISA: unknown instruction set 'sse9' (use portable, avx2, avx512 or neon)");
}

TEST(Isa, TheEnvironmentIsHonoured) {
  setenv("VORTEX_ISA", "portable", 1);
  EXPECT_EQ(*best_isa(), Isa::kPortable);
  setenv("VORTEX_ISA", "mmx", 1);
  EXPECT_FALSE(best_isa().ok());
  unsetenv("VORTEX_ISA");
  EXPECT_EQ(*best_isa(), *select_isa(cpu_features(), ""));
}

// A pretended machine: the files of /proc and /sys under a directory of the test's own.
class FakeMachine : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "vortex_machine_" + std::to_string(getpid());
    std::filesystem::remove_all(root_);
    write("/proc/self/cgroup", "12:cpu:/old\n0::/outer/inner\n");
    write("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    1000 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }

  std::string root_;
};

TEST_F(FakeMachine, WithoutLimitsOnlyMemAvailableCounts) {
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 0);
  EXPECT_EQ(internal::memory_limit_bytes(root_), 1'024'000u);
}

TEST_F(FakeMachine, CpuQuotaIsRoundedUpAndTheTightestGroupWins) {
  write("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/outer/cpu.max", "250000 100000\n");
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 3);
  write("/sys/fs/cgroup/outer/inner/cpu.max", "50000 100000\n");
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 1);
}

TEST_F(FakeMachine, MemoryMaxOfAnyGroupCounts) {
  write("/sys/fs/cgroup/outer/inner/memory.max", "max\n");
  write("/sys/fs/cgroup/outer/memory.max", "500000\n");
  EXPECT_EQ(internal::memory_limit_bytes(root_), 500'000u);
}

TEST_F(FakeMachine, CgroupsOfVersion1Count) {
  write("/proc/self/cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/other\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(internal::memory_limit_bytes(root_), 1'024'000u) << "no limit";
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 0);
  write("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "300000\n");
  write("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "150000\n");
  write("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(internal::memory_limit_bytes(root_), 300'000u);
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 2);
}

TEST_F(FakeMachine, WithoutProcMemoryIsUnknown) {
  std::filesystem::remove_all(root_ + "/proc");
  EXPECT_EQ(internal::memory_limit_bytes(root_), 0u);
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(internal::memory_limit_bytes(root_), 0u) << "no limit is no number";
}

TEST_F(FakeMachine, GarbageIsIgnored) {
  write("/proc/self/cgroup", "nonsense");
  write("/proc/meminfo", "MemAvailable: lots");
  write("/sys/fs/cgroup/cpu.max", "1 0");
  EXPECT_EQ(internal::cgroup_cpu_limit(root_), 0);
  EXPECT_EQ(internal::memory_limit_bytes(root_), 0u);
}

TEST(Machine, HasAThreadAndMemory) {
  EXPECT_GE(usable_threads(), 1);
  EXPECT_GT(memory_limit_bytes(), 1u << 20);
}

}  // namespace
}  // namespace vortex

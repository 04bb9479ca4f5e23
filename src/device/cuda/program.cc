#include "device/cuda/program.h"

#include <fmt/core.h>
#include <nvrtc.h>

#include <array>
#include <filesystem>

#include "base/files.h"
#include "device/cuda/check.h"
#include "toolchain/code_cache.h"

namespace vortex::cuda {
namespace {

constexpr std::array kOptions = {"--std=c++20", "--device-as-default-execution-space", "--generate-line-info", "-w"};
constexpr int64_t kLargestCode = int64_t{64} << 20;
constexpr std::chrono::milliseconds kTurnPatience{120000};

struct DestroyProgram {
  void operator()(nvrtcProgram program) const { nvrtcDestroyProgram(&program); }
};
using OwnedProgram = std::unique_ptr<std::remove_pointer_t<nvrtcProgram>, DestroyProgram>;

Error compiler_error(const std::string& log) {
  std::string line = log.substr(0, log.find('\n'));
  return {ErrorCode::kInternal, "nvrtc", fmt::format("generated code does not compile: {}", line),
          "please report this with the flow"};
}

std::string log_of(nvrtcProgram program) {
  size_t size = 0;
  nvrtcGetProgramLogSize(program, &size);
  std::string log(size, '\0');
  if (size > 0) nvrtcGetProgramLog(program, log.data());
  return log;
}

std::string key_of(const std::string& source, const std::string& architecture) {
  int major = 0, minor = 0;
  nvrtcVersion(&major, &minor);
  std::string text = fmt::format("nvrtc {}.{} {}\n", major, minor, architecture);
  for (const char* option : kOptions) text += fmt::format("{}\n", option);
  return sha256_of(text + source);
}

Result<toolchain::CodeCache> open_cache() {
  VORTEX_ASSIGN_OR_RETURN(const std::filesystem::path folder, toolchain::code_cache_folder(std::nullopt));
  return toolchain::CodeCache::open(folder, ".cubin");
}

/// Best effort: what is not kept is compiled again.
void keep(const toolchain::CodeCache& cache, const std::string& key, const std::string& code) {
  const auto scratch = toolchain::ScratchFolder::create(cache.folder());
  if (!scratch.ok()) return;
  const std::filesystem::path file = scratch->path() / "code.cubin";
  if (write_file_atomically(file, code).ok()) static_cast<void>(cache.publish(key, file, {}));
}

}  // namespace

Result<std::string> compile_source(const std::string& source, const std::string& architecture) {
  nvrtcProgram raw = nullptr;
  if (const nvrtcResult made = nvrtcCreateProgram(&raw, source.c_str(), "flow.cu", 0, nullptr, nullptr);
      made != NVRTC_SUCCESS)
    return compiler_error(nvrtcGetErrorString(made));
  const OwnedProgram program(raw);
  const std::string target = "--gpu-architecture=" + architecture;
  std::vector<const char*> options(kOptions.begin(), kOptions.end());
  options.push_back(target.c_str());
  if (nvrtcCompileProgram(raw, static_cast<int>(options.size()), options.data()) != NVRTC_SUCCESS)
    return compiler_error(log_of(raw));
  size_t size = 0;
  if (nvrtcGetCUBINSize(raw, &size) != NVRTC_SUCCESS || size == 0) return compiler_error("no machine code");
  std::string code(size, '\0');
  nvrtcGetCUBIN(raw, code.data());
  return code;
}

Result<std::string> cached_machine_code(const std::string& source, const std::string& architecture) {
  const auto cache = open_cache();
  if (!cache.ok()) return compile_source(source, architecture);
  const std::string key = key_of(source, architecture);
  const auto found = [&]() -> Result<std::string> {
    const auto path = cache->find(key);
    if (!path) return Error{ErrorCode::kNotFound, key, "not compiled yet", ""};
    return read_small_file(*path, kLargestCode);
  };
  if (auto code = found(); code.ok()) return code;
  const auto turn = cache->take_turn(key, kTurnPatience);
  if (auto code = found(); code.ok()) return code;
  auto code = compile_source(source, architecture);
  if (code.ok()) keep(*cache, key, *code);
  return code;
}

std::string device_architecture() {
  int device = 0, major = 0, minor = 0;
  VORTEX_CUDA_CHECK(cudaGetDevice(&device));
  VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return fmt::format("sm_{}{}{}", major, minor, major == 9 ? "a" : "");
}

Program::Program(const std::string& machine_code) {
  cudaLibrary_t library = nullptr;
  VORTEX_CUDA_CHECK(cudaLibraryLoadData(&library, machine_code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
  library_.reset(library);
}

cudaKernel_t Program::kernel(const char* name) const {
  cudaKernel_t kernel = nullptr;
  VORTEX_CUDA_CHECK(cudaLibraryGetKernel(&kernel, library_.get(), name));
  return kernel;
}

}  // namespace vortex::cuda

// Source compiled at run time: g++ makes a library of it, which stands for the machine code of a GPU.
#include <dlfcn.h>
#include <fmt/core.h>
#include <nvrtc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "grid.h"
#include "runtime.h"

struct _nvrtcProgram {
  std::string source, code, log;
};
struct CUlib_st {
  void* handle;
};

namespace {

namespace fs = std::filesystem;

/// A kernel of such a library; all of them take one struct.
struct Kernel {
  std::string name;
  size_t argument_bytes;
  void (*run)(const void* argument);
};

/// Beside each kernel, how it is called with a pointer to its argument.
std::string with_entries(const std::string& source) {
  static const std::regex kKernel(
      R"(__global__ void(?: __launch_bounds__\(\w+\))? (\w+)\(const __grid_constant__ Args)");
  std::string text = source;
  for (std::sregex_iterator it(source.begin(), source.end(), kKernel), end; it != end; ++it) {
    const std::string name = (*it)[1];
    text += fmt::format(
        "extern \"C\" {{ unsigned long {0}_bytes = sizeof(vortex::flow_code::Args);\n"
        "void {0}_run(const void* a) {{ vortex::flow_code::{0}(*static_cast<const vortex::flow_code::Args*>(a)); }} "
        "}}\n",
        name);
  }
  return text;
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Libraries that are opened later find this one's functions, also where a program opened it for itself alone.
void show_symbols() {
  Dl_info own{};
  if (dladdr(&vortex::emulator::here, &own) != 0) dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "emulated-gpu-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

extern "C" {

nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = *minor = 0;  // its code is kept apart from that of a GPU
  return NVRTC_SUCCESS;
}
const char* nvrtcGetErrorString(nvrtcResult) { return "an error of the emulated compiler"; }

nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* source, const char*, int, const char* const*,
                               const char* const*) {
  *program = new _nvrtcProgram{source, "", ""};
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  delete *program;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int, const char* const*) {
  const Folder folder;
  const fs::path source = folder.path() / "flow.cc", library = folder.path() / "flow.so", log = folder.path() / "log";
  std::ofstream(source) << with_entries(program->source);
  const std::string command = fmt::format(
      "{} -std=c++20 -O1 -w -fPIC -shared -fno-gnu-unique -ffp-contract=off -I {} -include {}/flow_code.h -o {} {} > "
      "{} 2>&1",
      EMULATOR_COMPILER, EMULATOR_CUDA_HEADERS, EMULATOR_SOURCES, library.string(), source.string(), log.string());
  const bool compiled = std::system(command.c_str()) == 0;
  program->log = read(log);
  program->code = compiled ? read(library) : "";
  return compiled ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* bytes) {
  *bytes = program->log.size();
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
  std::memcpy(log, program->log.data(), program->log.size());
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* bytes) {
  *bytes = program->code.size();
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* code) {
  std::memcpy(code, program->code.data(), program->code.size());
  return NVRTC_SUCCESS;
}

/// How long the code is, its own header says on a GPU; here the file's end, which the section table marks.
cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, cudaJitOption*, void**, unsigned,
                                cudaLibraryOption*, void**, unsigned) {
  const auto* elf = static_cast<const unsigned char*>(code);
  uint64_t sections = 0;
  uint16_t entry_bytes = 0, entries = 0;
  std::memcpy(&sections, elf + 0x28, sizeof(sections));
  std::memcpy(&entry_bytes, elf + 0x3a, sizeof(entry_bytes));
  std::memcpy(&entries, elf + 0x3c, sizeof(entries));
  const size_t bytes = sections + size_t{entry_bytes} * entries;
  const Folder folder;  // a name that no library had before: the loader would take that one
  const fs::path file = folder.path() / "flow.so";
  std::ofstream(file, std::ios::binary).write(static_cast<const char*>(code), static_cast<std::streamsize>(bytes));
  show_symbols();
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    fmt::print(stderr, "emulated GPU: {}\n", dlerror());
    return cudaErrorInvalidKernelImage;
  }
  *library = reinterpret_cast<cudaLibrary_t>(new CUlib_st{handle});
  return cudaSuccess;
}
cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  delete reinterpret_cast<CUlib_st*>(library);  // its kernels may still be in a graph: the code stays
  return cudaSuccess;
}
cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  void* handle = reinterpret_cast<CUlib_st*>(library)->handle;
  void* run = dlsym(handle, fmt::format("{}_run", name).c_str());
  const void* bytes = dlsym(handle, fmt::format("{}_bytes", name).c_str());
  if (run == nullptr || bytes == nullptr) return cudaErrorSymbolNotFound;
  *kernel = reinterpret_cast<cudaKernel_t>(
      new Kernel{name, *static_cast<const unsigned long*>(bytes), reinterpret_cast<void (*)(const void*)>(run)});
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int value) {
  return value <= vortex::emulator::kSharedBytes ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int, size_t) {
  *blocks = 2;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  const auto* kernel = static_cast<const Kernel*>(function);
  const std::string argument(static_cast<const char*>(arguments[0]), kernel->argument_bytes);
  return vortex::emulator::queue(stream, [=] {
    vortex::emulator::run_grid(kernel->name.c_str(), {grid.x, grid.y, grid.z}, static_cast<int>(block.x),
                               static_cast<int>(shared), [&] { kernel->run(argument.data()); });
  });
}

}  // extern "C"

// Stands in for NCCL in tests: ranks are threads or processes of one host that meet in a file. Without a stream an
// operation is done at once on host memory; on a stream, by a host function between two copies.
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "comm/cuda/nccl_library.h"

namespace vortex::cuda {

constexpr int kMostRanks = 8;
constexpr size_t kSlotBytes = 1 << 20;
constexpr int kFailed = 3;

struct Meeting {
  std::atomic<int> attached;
  std::atomic<uint64_t> arrivals[kMostRanks];
  char slots[kMostRanks][kSlotBytes];
};

struct NcclCommunicatorHandle {
  int rank = 0, ranks = 1;
  Meeting* meeting = nullptr;
  std::atomic<bool> aborted = false;
  uint64_t arrivals = 0;
  struct Operation {
    std::vector<char> in, out;
    std::function<void(Operation&)> work;
  };
  std::deque<Operation> queued;  // kept: a graph may run them again

  /// Waits for all; false after an abort.
  bool meet() {
    meeting->arrivals[rank] = ++arrivals;
    for (int other = 0; other < ranks; ++other)
      while (meeting->arrivals[other] < arrivals) {
        if (aborted) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    return true;
  }

  /// use(rank, its bytes, their place in its part), for each part of every rank, in the order of ranks.
  template <class Use>
  void exchange(const std::vector<char>& own, Use use) {
    for (size_t begin = 0; begin < own.size(); begin += kSlotBytes) {
      const size_t bytes = std::min(kSlotBytes, own.size() - begin);
      std::memcpy(meeting->slots[rank], own.data() + begin, bytes);
      if (!meet()) return;
      for (int other = 0; other < ranks; ++other) use(other, meeting->slots[other], begin, bytes);
      if (!meet()) return;
    }
  }

  int run(const void* from, size_t in_bytes, void* to, size_t out_bytes, cudaStream_t stream,
          std::function<void(Operation&)> work) {
    Operation& o =
        queued.emplace_back(Operation{std::vector<char>(in_bytes), std::vector<char>(out_bytes), std::move(work)});
    if (stream == nullptr) {
      std::memcpy(o.in.data(), from, in_bytes);
      o.work(o);
      std::memcpy(to, o.out.data(), out_bytes);
      return NcclLibrary::kSuccess;
    }
    const auto call = [](void* argument) {
      auto* operation = static_cast<Operation*>(argument);
      operation->work(*operation);
    };
    const bool ok = cudaMemcpyAsync(o.in.data(), from, in_bytes, cudaMemcpyDeviceToHost, stream) == cudaSuccess &&
                    cudaLaunchHostFunc(stream, call, &o) == cudaSuccess &&
                    cudaMemcpyAsync(to, o.out.data(), out_bytes, cudaMemcpyHostToDevice, stream) == cudaSuccess;
    return ok ? NcclLibrary::kSuccess : kFailed;
  }
};

/// Goes with the process, should not all ranks have come.
struct MeetingFile {
  std::string path;
  ~MeetingFile() { ::unlink(path.c_str()); }
};

}  // namespace vortex::cuda

using vortex::cuda::kFailed;
using vortex::cuda::Meeting;
using vortex::cuda::NcclId;
using vortex::cuda::NcclLibrary;
using Handle = NcclLibrary::Handle;

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

/// $VORTEX_NCCL_DOUBLE_VERSION, else 2.18.
EXPORTED int ncclGetVersion(int* version) {
  const char* told = std::getenv("VORTEX_NCCL_DOUBLE_VERSION");
  *version = told != nullptr ? std::atoi(told) : 21800;
  return NcclLibrary::kSuccess;
}

EXPORTED int ncclGetUniqueId(NcclId* id) {
  std::strcpy(id->bytes, "/tmp/vortex-nccl-double-XXXXXX");
  const int fd = ::mkstemp(id->bytes);
  static std::deque<vortex::cuda::MeetingFile> files;
  if (fd >= 0) files.emplace_back(id->bytes);
  const bool made = fd >= 0 && ::ftruncate(fd, sizeof(Meeting)) == 0;
  ::close(fd);
  return made ? NcclLibrary::kSuccess : kFailed;
}

EXPORTED int ncclCommInitRank(Handle* comm, int ranks, NcclId id, int rank) {
  const int fd = ::open(id.bytes, O_RDWR | O_CLOEXEC);
  if (fd < 0 || ranks > vortex::cuda::kMostRanks) return kFailed;
  void* memory = ::mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) return kFailed;
  auto* meeting = static_cast<Meeting*>(memory);
  if (++meeting->attached == ranks) ::unlink(id.bytes);
  *comm = new vortex::cuda::NcclCommunicatorHandle{.rank = rank, .ranks = ranks, .meeting = meeting};
  return (*comm)->meet() ? NcclLibrary::kSuccess : kFailed;
}

EXPORTED int ncclCommDestroy(Handle comm) {
  ::munmap(comm->meeting, sizeof(Meeting));
  delete comm;
  return NcclLibrary::kSuccess;
}

/// Kept: the caller's operations may be under way.
EXPORTED int ncclCommAbort(Handle comm) {
  comm->aborted = true;
  return NcclLibrary::kSuccess;
}

/// A failure where $VORTEX_NCCL_DOUBLE_ERROR is there.
EXPORTED int ncclCommGetAsyncError(Handle, int* error) {
  *error = std::getenv("VORTEX_NCCL_DOUBLE_ERROR") != nullptr ? kFailed : NcclLibrary::kSuccess;
  return NcclLibrary::kSuccess;
}

EXPORTED const char* ncclGetErrorString(int) { return "the double was told to fail"; }

EXPORTED int ncclAllReduce(const void* from, void* to, size_t count, int, int, Handle comm, cudaStream_t stream) {
  const size_t bytes = count * sizeof(float);
  return comm->run(from, bytes, to, bytes, stream, [comm](auto& o) {
    comm->exchange(o.in, [&](int rank, const char* part, size_t begin, size_t size) {
      auto* sum = reinterpret_cast<float*>(o.out.data() + begin);
      const auto* values = reinterpret_cast<const float*>(part);
      for (size_t i = 0; i < size / sizeof(float); ++i) sum[i] = rank == 0 ? values[i] : sum[i] + values[i];
    });
  });
}

EXPORTED int ncclAllGather(const void* from, void* to, size_t bytes, int, Handle comm, cudaStream_t stream) {
  return comm->run(from, bytes, to, bytes * static_cast<size_t>(comm->ranks), stream, [comm, bytes](auto& o) {
    comm->exchange(o.in, [&](int rank, const char* part, size_t begin, size_t size) {
      std::memcpy(o.out.data() + static_cast<size_t>(rank) * bytes + begin, part, size);
    });
  });
}

EXPORTED int ncclBroadcast(const void* from, void* to, size_t bytes, int, int root, Handle comm, cudaStream_t stream) {
  return comm->run(from, bytes, to, bytes, stream, [comm, root](auto& o) {
    comm->exchange(o.in, [&](int rank, const char* part, size_t begin, size_t size) {
      if (rank == root) std::memcpy(o.out.data() + begin, part, size);
    });
  });
}

}  // extern "C"

#include "comm/mpi_start.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/cpu_features.h"
#include "base/log.h"
#include "comm/mpi_entry.h"
#include "comm/processors.h"
#include "comm/rank_error.h"
#include "toolchain/shared_library.h"

namespace vortex::comm {
namespace {

/// A number in the environment, or -1.
int number_of(const char* variable) {
  const char* text = std::getenv(variable);
  int value = -1;
  if (text == nullptr) return -1;
  const char* end = text + std::strlen(text);
  const auto [parsed, failure] = std::from_chars(text, end, value);
  return failure == std::errc() && parsed == end && value >= 0 ? value : -1;
}

struct Starter {
  const char* rank;
  const char* size;
};
// OpenMPI; MPICH and Slurm's PMI-2; Slurm's PMIx.
constexpr std::array<Starter, 3> kStarters{{{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                            {"PMI_RANK", "PMI_SIZE"},
                                            {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}}};

Result<const MpiEntry*> open_library() {
  const auto places = toolchain::companion_places("VORTEX_MPI_LIBRARY", "libvortex_mpi.so");
  std::error_code ignored;
  const auto place =
      std::ranges::find_if(places, [&](const auto& path) { return std::filesystem::exists(path, ignored); });
  if (place == places.end())
    return Error{ErrorCode::kUnsupported, "mpirun",
                 fmt::format("the MPI library is not at {}", places.front().string()),
                 "build with OpenMPI installed, name it in VORTEX_MPI_LIBRARY, or start without mpirun"};
  VORTEX_ASSIGN_OR_RETURN(const auto library, toolchain::SharedLibrary::open(*place));
  const auto entry_of = library.function<MpiEntry*()>(kMpiEntrySymbol);
  const MpiEntry* entry = entry_of == nullptr ? nullptr : entry_of();
  if (entry == nullptr || std::string_view(entry->version) != VORTEX_VERSION)
    return Error{ErrorCode::kUnsupported, place->string(), "is no MPI library of this program",
                 "use the one it came with"};
  return entry;
}

/// Where rank 0 holds the memory: the others of the host open it through its process, so it never has a name.
struct SegmentPlace {
  pid_t process = 0;  // 0: there is none
  int fd = -1;
  Nonce nonce{};
};

std::shared_ptr<Segment> create(int ranks, SegmentPlace* place) {
  place->nonce = random_nonce();
  auto segment = Segment::create(ranks, place->nonce);
  if (!segment.ok()) return nullptr;
  place->process = ::getpid();
  place->fd = (*segment)->fd();
  return *segment;
}

std::shared_ptr<Segment> open(int ranks, const SegmentPlace& place) {
  UniqueFd fd(::open(fmt::format("/proc/{}/fd/{}", place.process, place.fd).c_str(), O_RDWR | O_CLOEXEC));
  auto segment = Segment::attach(std::move(fd), ranks, place.nonce);
  return segment.ok() ? *segment : nullptr;
}

/// A rank's communicator through shared memory, on all ranks or, null, on none.
Result<std::unique_ptr<Communicator>> share_memory(Communicator& mpi, std::chrono::milliseconds timeout) {
  SegmentPlace place;
  std::shared_ptr<Segment> segment;
  if (mpi.rank() == 0) segment = create(mpi.size(), &place);
  std::vector<std::byte> message(sizeof place);
  std::memcpy(message.data(), &place, sizeof place);
  VORTEX_RETURN_IF_ERROR(mpi.broadcast(&message));
  VORTEX_CHECK(message.size() == sizeof place, "rank 0 sent {} bytes", message.size());
  std::memcpy(&place, message.data(), sizeof place);
  if (mpi.rank() != 0 && place.process != 0) segment = open(mpi.size(), place);

  std::unique_ptr<Communicator> shared;
  if (segment) shared = shared_memory_rank(segment, mpi.rank(), timeout);
  const std::byte mine{shared ? uint8_t{1} : uint8_t{0}};
  std::vector<std::byte> have(mpi.size());
  VORTEX_RETURN_IF_ERROR(mpi.all_gather({&mine, 1}, std::vector<int64_t>(mpi.size(), 1), have.data()));
  if (std::ranges::find(have, std::byte{0}) != have.end()) shared.reset();
  return shared;
}

/// mpirun may have bound this process to processors of its own; where it did not, all ranks of a host see the same.
int threads_of(const MpiWorld& world) {
  const bool bound = std::ssize(allowed_processors()) < ::sysconf(_SC_NPROCESSORS_ONLN);
  return bound ? usable_threads() : threads_a_rank(world.ranks_on_host());
}

class MpiGroup : public Group {
 public:
  MpiGroup(std::unique_ptr<MpiWorld> world, std::unique_ptr<Communicator> shared)
      : world_(std::move(world)), shared_(std::move(shared)), threads_(threads_of(*world_)) {}

  Communicator& communicator() override { return shared_ ? *shared_ : world_->communicator(); }
  int threads() const override { return threads_; }
  std::string_view transport() const override { return shared_ ? kSharedMemory : "MPI"; }

 private:
  const std::unique_ptr<MpiWorld> world_;
  const std::unique_ptr<Communicator> shared_;
  const int threads_;
};

/// Whether VORTEX_COMM asks for MPI even between the ranks of one host.
Result<bool> wants_mpi() {
  const char* wish = std::getenv("VORTEX_COMM");
  if (wish == nullptr || *wish == '\0') return false;
  if (std::string_view(wish) == "mpi") return true;
  return Error{ErrorCode::kConfiguration, "VORTEX_COMM", fmt::format("\"{}\" is no way for ranks to speak", wish),
               "say mpi, or leave it out"};
}

}  // namespace

int mpi_rank_of_environment() {
  for (const Starter& starter : kStarters)
    if (number_of(starter.size) > 1 && number_of(starter.rank) >= 0) return number_of(starter.rank);
  return -1;
}

Result<std::unique_ptr<Group>> join_by_mpi(const JoinOptions& options) {
  VORTEX_ASSIGN_OR_RETURN(const bool through_mpi, wants_mpi());
  VORTEX_ASSIGN_OR_RETURN(const MpiEntry* entry, open_library());
  VORTEX_ASSIGN_OR_RETURN(auto world, entry->start(options.timeout));
  Communicator& mpi = world->communicator();
  if ((options.size != 0 && options.size != mpi.size()) || mpi.size() > kMaxRanks)
    return Error{ErrorCode::kConfiguration, "--tensor-parallel-size",
                 fmt::format("{}, but {} processes were started", options.size, mpi.size()),
                 "start as many, or leave it out"};
  std::unique_ptr<Communicator> shared;
  if (!through_mpi && world->ranks_on_host() == mpi.size()) {
    VORTEX_ASSIGN_OR_RETURN(shared, share_memory(mpi, options.timeout));
    if (shared) world->rest();
    if (!shared && mpi.rank() == 0) log_warn("the ranks of this host cannot share memory: they speak through MPI");
  }
  return std::unique_ptr<Group>(std::make_unique<MpiGroup>(std::move(world), std::move(shared)));
}

}  // namespace vortex::comm

// What libvortex_mpi.so exports.
#include "comm/mpi_entry.h"

#include <mpi.h>

#include <mutex>
#include <thread>

#include "comm/mpi/mpi_communicator.h"

namespace vortex::comm {
namespace {

MPI_Comm copy_of_world() {
  MPI_Comm copy = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN);
  return copy;
}

class World : public MpiWorld {
 public:
  explicit World(std::chrono::milliseconds timeout) : words_(copy_of_world()), pings_(copy_of_world()) {
    MPI_Comm host = MPI_COMM_NULL;
    MPI_Comm_split_type(words_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &ranks_on_host_);
    MPI_Comm_free(&host);
    communicator_ = MpiCommunicator::join(words_, pings_, &calls_, timeout);
  }

  ~World() override {
    const bool broken = communicator_->broken();
    communicator_.reset();
    if (!broken && all_leave()) MPI_Finalize();
  }

  Communicator& communicator() override { return *communicator_; }
  int ranks_on_host() const override { return ranks_on_host_; }
  void rest() override { communicator_->rest(); }

 private:
  /// MPI_Finalize waits for every rank, for ever: only where all have come to this point.
  bool all_leave() {
    constexpr auto kPatience = std::chrono::seconds(2);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    MPI_Request request = MPI_REQUEST_NULL;
    int done = 0;
    if (MPI_Ibarrier(pings_, &request) != MPI_SUCCESS) return false;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done == 0) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return done != 0;
  }

  std::mutex calls_;
  const MPI_Comm words_;
  const MPI_Comm pings_;
  int ranks_on_host_ = 1;
  std::unique_ptr<MpiCommunicator> communicator_;
};

Result<std::unique_ptr<MpiWorld>> start(std::chrono::milliseconds timeout) {
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS)
    return Error{ErrorCode::kUnavailable, "MPI", "cannot be initialised", "see what mpirun says"};
  if (provided < MPI_THREAD_SERIALIZED)
    return Error{ErrorCode::kUnsupported, "MPI", "was built for one thread", "use an OpenMPI with thread support"};
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  return std::unique_ptr<MpiWorld>(std::make_unique<World>(timeout));
}

}  // namespace
}  // namespace vortex::comm

extern "C" __attribute__((visibility("default"))) vortex::comm::MpiEntry* vortex_mpi_entry() {
  static vortex::comm::MpiEntry entry{VORTEX_VERSION, vortex::comm::start};
  return &entry;
}

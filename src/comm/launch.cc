#include "comm/launch.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "comm/children.h"
#include "comm/local_group.h"
#include "comm/mpi_start.h"
#include "comm/processors.h"
#include "comm/rank_error.h"
#include "comm/rank_variable.h"

namespace vortex::comm {
namespace {

using Clock = std::chrono::steady_clock;

/// A rank that has nobody to start.
class Member : public Group {
 public:
  Member(std::unique_ptr<Communicator> communicator, int threads, std::string_view transport)
      : communicator_(std::move(communicator)), threads_(threads), transport_(transport) {}
  Communicator& communicator() override { return *communicator_; }
  int threads() const override { return threads_; }
  std::string_view transport() const override { return transport_; }

 private:
  const std::unique_ptr<Communicator> communicator_;
  const int threads_;
  const std::string_view transport_;
};

class Leader : public Group {
 public:
  Leader(std::shared_ptr<Segment> segment, int threads, std::chrono::milliseconds timeout)
      : segment_(std::move(segment)), threads_(threads), communicator_(shared_memory_rank(segment_, 0, timeout)) {}

  ~Leader() override {
    communicator_.reset();
    if (children_) children_->stop(std::chrono::milliseconds(segment_->failure() ? 500 : 2000));
  }

  Communicator& communicator() override { return *communicator_; }
  int threads() const override { return threads_; }
  std::vector<int> processors() const override { return processor_share(allowed_processors(), 0, segment_->ranks()); }
  std::string_view transport() const override { return kSharedMemory; }

  Status start(const std::vector<std::string>& arguments, const Nonce& nonce) {
    const std::vector<int> allowed = allowed_processors();
    std::vector<ChildPlan> plans;
    for (int rank = 1; rank < segment_->ranks(); ++rank) {
      const RankPlace place{rank, segment_->ranks(), segment_->fd(), threads_, nonce};
      plans.push_back({rank, fmt::format("{}={}", kRankVariable, to_text(place)),
                       processor_share(allowed, rank, segment_->ranks())});
    }
    const auto ended = [segment = segment_](int rank, int status) { note_end(*segment, rank, status); };
    VORTEX_ASSIGN_OR_RETURN(children_, Children::start(arguments, plans, segment_->fd(), ended));
    return {};
  }

  /// Until all ranks are present.
  Status wait_for_all(std::chrono::milliseconds most) {
    const auto deadline = Clock::now() + most;
    for (int rank = 1; rank < segment_->ranks(); ++rank)
      while (segment_->presence(rank) == Presence::kAbsent) {
        if (const auto failure = segment_->failure()) return failure->error();
        if (Clock::now() >= deadline)
          segment_->fail(
              {rank, FailureKind::kNeverCame, static_cast<uint8_t>(std::min<int64_t>(most.count() / 1000, 255))});
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    return {};
  }

 private:
  /// A rank that left before it ended did what it should.
  static void note_end(Segment& segment, int rank, int status) {
    if (segment.presence(rank) == Presence::kLeft) return;
    const bool killed = WIFSIGNALED(status);
    segment.fail({rank, killed ? FailureKind::kKilled : FailureKind::kExited,
                  static_cast<uint8_t>(killed ? WTERMSIG(status) : WEXITSTATUS(status))});
  }

  const std::shared_ptr<Segment> segment_;
  const int threads_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Children> children_;
};

Result<std::unique_ptr<Group>> lead(const JoinOptions& options) {
  const Nonce nonce = random_nonce();
  VORTEX_ASSIGN_OR_RETURN(auto segment, Segment::create(options.size, nonce));
  auto leader = std::make_unique<Leader>(std::move(segment), threads_a_rank(options.size), options.timeout);
  VORTEX_RETURN_IF_ERROR(leader->start(options.arguments, nonce));
  VORTEX_RETURN_IF_ERROR(leader->wait_for_all(options.start_timeout));
  return std::unique_ptr<Group>(std::move(leader));
}

Result<std::unique_ptr<Group>> follow(const std::string& variable, const JoinOptions& options) {
  VORTEX_ASSIGN_OR_RETURN(const RankPlace place, rank_place_of(variable));
  UniqueFd fd(place.fd);
  ::fcntl(place.fd, F_SETFD, FD_CLOEXEC);
  VORTEX_ASSIGN_OR_RETURN(auto segment, Segment::attach(std::move(fd), place.size, place.nonce));
  return std::unique_ptr<Group>(std::make_unique<Member>(
      shared_memory_rank(std::move(segment), place.rank, options.timeout), place.threads, kSharedMemory));
}

}  // namespace

Result<std::unique_ptr<Group>> join(const JoinOptions& options) {
  if (options.size < 0 || options.size > kMaxRanks)
    return Error{ErrorCode::kConfiguration, "--tensor-parallel-size",
                 fmt::format("{} is not in [1, {}]", options.size, kMaxRanks), "name the number of ranks"};
  if (const char* variable = std::getenv(kRankVariable); variable != nullptr) {
    const std::string text = variable;
    // What this process starts is no rank.
    ::unsetenv(kRankVariable);
    return follow(text, options);
  }
  if (mpi_rank_of_environment() >= 0) return join_by_mpi(options);
  if (options.size <= 1)
    return std::unique_ptr<Group>(std::make_unique<Member>(std::move(local_group(1)[0]), threads_a_rank(1), "none"));
  return lead(options);
}

int rank_of_environment() {
  if (const char* variable = std::getenv(kRankVariable); variable != nullptr) {
    const auto place = rank_place_of(variable);
    // Who cannot tell which rank it is must not print as rank 0.
    return place.ok() ? place->rank : 1;
  }
  return std::max(mpi_rank_of_environment(), 0);
}

}  // namespace vortex::comm

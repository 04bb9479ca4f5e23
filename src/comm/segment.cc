#include "comm/segment.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <new>

#include "comm/build_id.h"
#include "comm/futex.h"
#include "comm/rank_error.h"

namespace vortex::comm {
namespace {

constexpr const char* kName = "rank memory";

size_t states_end(int ranks) {
  constexpr size_t kPage = 4096;
  return (sizeof(SegmentHeader) + sizeof(RankState) * ranks + kPage - 1) / kPage * kPage;
}

size_t segment_bytes(int ranks) { return states_end(ranks) + size_t{2} * ranks * Segment::kSlotBytes; }

Error refusal(std::string message) {
  return {ErrorCode::kDataLoss, kName, std::move(message), "all ranks must be started together, by the same program"};
}

/// Who else may hold the file could otherwise cut it short, and the next read would be a SIGBUS.
bool seal(int fd) { return ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0; }

}  // namespace

Nonce random_nonce() {
  Nonce nonce;
  VORTEX_CHECK(::getrandom(nonce.data(), sizeof nonce, 0) == sizeof nonce, "no random numbers: {}",
               std::strerror(errno));
  return nonce;
}

std::string to_text(const Nonce& nonce) { return fmt::format("{:016x}{:016x}", nonce[0], nonce[1]); }

std::optional<Nonce> nonce_of(std::string_view text) {
  Nonce nonce;
  if (text.size() != 32) return std::nullopt;
  for (int half = 0; half < 2; ++half) {
    const char* end = text.data() + 16 * (half + 1);
    const auto [parsed, failure] = std::from_chars(end - 16, end, nonce[half], 16);
    if (failure != std::errc() || parsed != end) return std::nullopt;
  }
  return nonce;
}

Segment::Segment(UniqueFd fd, std::byte* base, size_t bytes, int ranks)
    : fd_(std::move(fd)), base_(base), bytes_(bytes), ranks_(ranks) {}

Segment::~Segment() { ::munmap(base_, bytes_); }

Result<std::shared_ptr<Segment>> Segment::map(UniqueFd fd, int ranks) {
  const size_t bytes = segment_bytes(ranks);
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (base == MAP_FAILED) return file_error(kName, "cannot map", errno);
  return std::shared_ptr<Segment>(new Segment(std::move(fd), static_cast<std::byte*>(base), bytes, ranks));
}

Result<std::shared_ptr<Segment>> Segment::create(int ranks, const Nonce& nonce) {
  VORTEX_CHECK(ranks >= 1 && ranks <= kMaxRanks, "{} ranks", ranks);
  UniqueFd fd(::memfd_create("vortex-ranks", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd.get() < 0) return file_error(kName, "cannot create", errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(segment_bytes(ranks))) != 0 || !seal(fd.get()))
    return file_error(kName, "cannot set the size of", errno);
  VORTEX_ASSIGN_OR_RETURN(auto segment, map(std::move(fd), ranks));
  auto* header = new (segment->base_) SegmentHeader{};
  for (int rank = 0; rank < ranks; ++rank) new (&segment->state(rank)) RankState{};
  header->layout = kSegmentLayout;
  header->ranks = ranks;
  std::memcpy(header->nonce, nonce.data(), sizeof header->nonce);
  build_id().copy(header->build, sizeof header->build - 1);
  header->slot_bytes = kSlotBytes;
  header->magic = kSegmentMagic;
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::attach(UniqueFd fd, int ranks, const Nonce& nonce) {
  if (ranks < 1 || ranks > kMaxRanks) return refusal(fmt::format("{} ranks", ranks));
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return file_error(kName, "cannot look at", errno);
  if (status.st_size != static_cast<off_t>(segment_bytes(ranks)))
    return refusal(fmt::format("has {} bytes, not the {} of {} ranks", status.st_size, segment_bytes(ranks), ranks));
  VORTEX_ASSIGN_OR_RETURN(auto segment, map(std::move(fd), ranks));
  const SegmentHeader& header = segment->header();
  if (header.magic != kSegmentMagic) return refusal("is not of this program");
  if (header.layout != kSegmentLayout)
    return refusal(fmt::format("has layout {}, not {}", header.layout, kSegmentLayout));
  const std::string_view build(header.build, ::strnlen(header.build, sizeof header.build));
  if (build != build_id()) return refusal(fmt::format("is of build {}, this program is {}", build, build_id()));
  if (std::memcmp(header.nonce, nonce.data(), sizeof header.nonce) != 0) return refusal("is of another start");
  if (header.ranks != static_cast<uint32_t>(ranks) || header.slot_bytes != kSlotBytes)
    return refusal(fmt::format("is for {} ranks, not {}", header.ranks, ranks));
  return segment;
}

RankState& Segment::state(int rank) const { return reinterpret_cast<RankState*>(base_ + sizeof(SegmentHeader))[rank]; }

std::byte* Segment::slot(int rank, uint32_t step) const {
  return base_ + states_end(ranks_) + (size_t{2} * rank + step % 2) * kSlotBytes;
}

void Segment::set_presence(int rank, Presence presence) {
  state(rank).presence.store(presence, std::memory_order_seq_cst);
  wake_all();
}

void Segment::fail(const Failure& failure) {
  uint32_t none = 0;
  header().failure.compare_exchange_strong(none, failure.word());
  wake_all();
}

void Segment::wake_all() {
  for (int rank = 0; rank < ranks_; ++rank) futex_wake(state(rank).posted);
}

std::optional<Failure> Segment::failure() const {
  const uint32_t word = header().failure.load(std::memory_order_acquire);
  if (word == 0) return std::nullopt;
  return Failure::from_word(word);
}

}  // namespace vortex::comm

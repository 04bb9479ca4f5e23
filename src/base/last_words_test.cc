#include "base/last_words.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <thread>

namespace vortex {
namespace {

constexpr size_t kBytes = 8192;

/// Maps a file, cuts it to nothing, reads it.
void read_a_cut_file(bool watched) {
  char path[] = "/tmp/vortex-words-XXXXXX";
  const int fd = ::mkstemp(path);
  ::unlink(path);
  if (::ftruncate(fd, kBytes) != 0) return;
  void* memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0);
  const WatchedMapping other(&fd, sizeof fd, "other.bin");
  const WatchedMapping mapping(memory, watched ? kBytes : 1, "model.bin");
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] volatile char byte = static_cast<const volatile char*>(memory)[kBytes / 2];
}

TEST(LastWordsDeathTest, ACutFileIsNamed) {
  install_last_words();
  EXPECT_EXIT(read_a_cut_file(true), testing::ExitedWithCode(1),
              "^vortex: model.bin: can no longer be read: it was cut");
}

TEST(LastWordsDeathTest, AnotherBusErrorStaysASignal) {
  install_last_words();
  EXPECT_EXIT(read_a_cut_file(false), testing::KilledBySignal(SIGBUS), "");
}

TEST(LastWordsDeathTest, NoMemoryOnAnyThread) {
  install_last_words();
  const auto fail = [] { throw std::bad_alloc(); };
  EXPECT_EXIT(std::thread(fail).join(), testing::ExitedWithCode(1), "^vortex: out of memory \\(lower --kv-cache");
  const auto no_thread = [] { throw std::system_error(EAGAIN, std::generic_category()); };
  EXPECT_EXIT(std::thread(no_thread).join(), testing::ExitedWithCode(1), "^vortex: a thread cannot be started");
  EXPECT_EXIT(std::thread([] { throw 7; }).join(), testing::KilledBySignal(SIGABRT), "int");
}

TEST(LastWords, SlotsAreGivenBack) {
  for (int i = 0; i < 5000; ++i) const WatchedMapping mapping(&i, sizeof i, "x");
  EXPECT_EXIT(
      {
        install_last_words();
        read_a_cut_file(true);
      },
      testing::ExitedWithCode(1), "model.bin");
}

}  // namespace
}  // namespace vortex

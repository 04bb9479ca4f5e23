#include "base/last_words.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <new>
#include <system_error>

namespace vortex {
namespace {

/// What a signal handler can read: no lock, no memory of its own.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0};  // 0: not complete
  std::atomic<size_t> size{0};
  std::atomic<const char*> path{nullptr};
};
constexpr int kSlots = 1024;
Slot slots[kSlots];

std::terminate_handler earlier_terminate = nullptr;

/// One line by one write: what else may run now is not known. The parts are cut where the line would be too long.
[[noreturn]] void end_with_line(std::initializer_list<const char*> parts) {
  char line[4608];
  size_t used = 0;
  for (const char* part : parts)
    for (; *part != '\0' && used + 1 < sizeof line; ++part) line[used++] = *part;
  line[used++] = '\n';
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line, used);
  ::_exit(1);
}

const char* file_mapped_at(uintptr_t address) {
  for (const Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin != 0 && address >= begin && address - begin < slot.size.load()) return slot.path.load();
  }
  return nullptr;
}

void on_bus_error(int number, siginfo_t* info, void*) {
  if (const char* path = file_mapped_at(reinterpret_cast<uintptr_t>(info->si_addr)))
    end_with_line({"vortex: ", path, ": can no longer be read: it was cut short while in use, or its disk fails ",
                   "(replace a model file by renaming a new one into its place)"});
  ::signal(number, SIG_DFL);  // somebody else's: the same access ends the program as it would have
}

[[noreturn]] void on_terminate() {
  try {
    if (std::current_exception() != nullptr) std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    end_with_line(
        {"vortex: out of memory (lower --kv-cache-memory-bytes or --max-model-len, or take a smaller model)"});
  } catch (const std::system_error& error) {
    // What std::thread throws when the system gives it no memory or no more threads.
    if (error.code() == std::errc::resource_unavailable_try_again)
      end_with_line(
          {"vortex: a thread cannot be started: out of memory, or of what this user may start "
           "(lower --threads or --kv-cache-memory-bytes, or see ulimit -u)"});
    earlier_terminate();
  } catch (...) {
    earlier_terminate();
  }
  std::abort();
}

int take_slot() {
  for (int i = 0; i < kSlots; ++i)
    if (!slots[i].taken.exchange(true)) return i;
  return -1;
}

}  // namespace

void install_last_words() {
  if (std::get_terminate() != on_terminate) earlier_terminate = std::set_terminate(on_terminate);
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

WatchedMapping::WatchedMapping(const void* begin, size_t size, const char* path) : slot_(take_slot()) {
  if (slot_ < 0) return;
  slots[slot_].size = size;
  slots[slot_].path = path;
  slots[slot_].begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
}

WatchedMapping::~WatchedMapping() {
  if (slot_ < 0) return;
  slots[slot_].begin = 0;
  slots[slot_].taken = false;
}

}  // namespace vortex

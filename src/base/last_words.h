// Faults that nobody can handle where they happen: one line on stderr and exit status 1, not a silent death by signal.
#pragma once

#include <cstddef>

namespace vortex {

/// For main(), first of all. An exception std::bad_alloc that nobody caught, on any thread, ends the program with the
/// line "out of memory", one for a thread that cannot be started with a line of its own; so does the read of a watched
/// mapping that its file no longer backs (SIGBUS). Other uncaught exceptions and bus errors end it as before.
void install_last_words();

/// While it lives, a bus error within [begin, begin + size) names `path`, which must outlive it.
class WatchedMapping {
 public:
  WatchedMapping(const void* begin, size_t size, const char* path);
  ~WatchedMapping();
  WatchedMapping(const WatchedMapping&) = delete;
  WatchedMapping& operator=(const WatchedMapping&) = delete;

 private:
  int slot_;  // -1: all were taken, a bus error ends the program as if this were not there
};

}  // namespace vortex

// Threads that the process's signals do not reach: whoever waits for them elsewhere must get them.
#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace vortex::comm {

template <class Body>
std::thread quiet_thread(Body body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace vortex::comm

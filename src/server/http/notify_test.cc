#include "server/http/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/files.h"

namespace vortex::server {
namespace {

// A service manager's socket by that name; '@' begins an abstract one.
UniqueFd manager(const std::string& name) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  return fd;
}

std::string received(const UniqueFd& fd) {
  char bytes[256];
  const ssize_t got = recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  return got < 0 ? "" : std::string(bytes, static_cast<std::size_t>(got));
}

TEST(Notify, ReachesAManagerByPathAndByAbstractName) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "vortex_notify_test").string();
  std::filesystem::remove(path);
  for (const std::string& name : {path, "@vortex_notify_test_" + std::to_string(getpid())}) {
    const UniqueFd fd = manager(name);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_TRUE(notify_service_manager("READY=1\nSTATUS=Serving"));
    EXPECT_EQ(received(fd), "READY=1\nSTATUS=Serving");
  }
  unsetenv("NOTIFY_SOCKET");
  std::filesystem::remove(path);
}

TEST(Notify, IsQuietWithoutAManager) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_service_manager("READY=1"));
  for (const std::string& name : {std::string(), std::string("relative"), "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(notify_service_manager("READY=1")) << name;
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST(Notify, WatchdogIsFedTwiceInItsTime) {
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(watchdog_interval(), std::chrono::seconds(15));
  setenv("WATCHDOG_PID", "1", 1);  // meant for another process
  EXPECT_EQ(watchdog_interval(), std::nullopt);
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(watchdog_interval(), std::nullopt);
  unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(watchdog_interval(), std::nullopt);
}

TEST(Notify, TheWatchdogIsFedWhileAllIsWell) {
  const std::string name = "@vortex_watchdog_test_" + std::to_string(getpid());
  const UniqueFd fd = manager(name);
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  setenv("WATCHDOG_USEC", "20000", 1);
  NetworkLoop loop;
  int asked = 0;
  feed_watchdog(loop, [&] { return ++asked <= 3; });
  loop.after(std::chrono::milliseconds(300), [&] { loop.stop(); });
  loop.run();
  unsetenv("WATCHDOG_USEC");
  unsetenv("NOTIFY_SOCKET");
  EXPECT_GT(asked, 5);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(received(fd), "WATCHDOG=1");
  EXPECT_EQ(received(fd), "");
}

}  // namespace
}  // namespace vortex::server

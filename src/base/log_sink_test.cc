#include "base/log_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "base/files.h"
#include "base/log.h"

namespace vortex {
namespace {

using Clock = std::chrono::steady_clock;

// Puts `fd` in the place of stderr for its life.
class AsStderr {
 public:
  explicit AsStderr(int fd) : before_(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
  ~AsStderr() { dup2(before_.get(), STDERR_FILENO); }

 private:
  UniqueFd before_;
};

std::string drain(int fd) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string text;
  char bytes[4096];
  for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<std::size_t>(got));
  return text;
}

// Far more than a pipe holds, to a reader that does not read: nothing waits, and the loss is told afterwards.
void expect_no_waiting(const UniqueFd& reader, const UniqueFd& writer) {
  const AsStderr stderr_is(writer.get());
  const auto began = Clock::now();
  for (int i = 0; i < 20'000; ++i) log_info("line {} {}", i, std::string(100, 'x'));
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(5));
  const std::string first = drain(reader.get());
  EXPECT_THAT(first, testing::HasSubstr("line 0 "));
  log_info("the next");
  const std::string rest = drain(reader.get());
  EXPECT_THAT(rest, testing::ContainsRegex("warning [0-9]+ lines of the log were dropped"));
  EXPECT_THAT(rest, testing::HasSubstr("info the next\n"));
}

TEST(LogSink, NeverWaitsForTheReaderOfAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  expect_no_waiting(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

TEST(LogSink, NeverWaitsForTheReaderOfASocket) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  expect_no_waiting(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

TEST(LogSink, LongLinesArriveWhole) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  std::string text;
  text.resize(50'000, 'y');
  {
    const AsStderr stderr_is(writer.get());
    log_info("{}!", text);
  }
  EXPECT_THAT(drain(reader.get()), testing::EndsWith(text.append("!\n")));
}

TEST(LogSink, AReaderThatIsGoneDoesNoHarm) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd writer(ends[1]);
  { const UniqueFd reader(ends[0]); }
  const AsStderr stderr_is(writer.get());
  const auto began = Clock::now();
  for (int i = 0; i < 1000; ++i) log_info("to nobody");
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(2));
}

}  // namespace
}  // namespace vortex

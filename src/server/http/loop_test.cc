#include "server/http/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "server/http/exchange_link.h"
#include "server/http/loop_core.h"

namespace vortex::server {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

// The loop on a thread of its own, until the end of the test.
class RunningLoop {
 public:
  RunningLoop() : thread_([this] { loop.run(); }) {}
  ~RunningLoop() { finish(); }
  void finish() {
    loop.post([this] { loop.stop(); });
    if (thread_.joinable()) thread_.join();
  }
  NetworkLoop loop;

 private:
  std::thread thread_;
};

TEST(NetworkLoop, RunsInOrderOnItsThread) {
  RunningLoop running;
  std::vector<int> order;
  bool inside = false;
  for (int i = 0; i < 1000; ++i) running.loop.post([&order, i] { order.push_back(i); });
  running.loop.post([&] { inside = running.loop.on_loop_thread(); });
  running.finish();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(inside);
  EXPECT_FALSE(running.loop.on_loop_thread());
}

TEST(NetworkLoop, ATaskThatThrowsSparesThoseBehindIt) {
  RunningLoop running;
  bool ran = false;
  running.loop.post([] { throw std::runtime_error("as when memory is out"); });
  running.loop.post([&] { ran = true; });
  running.finish();
  EXPECT_TRUE(ran);
}

TEST(NetworkLoop, TimersFireInTheOrderOfTheirTimes) {
  RunningLoop running;
  std::vector<int> order;
  running.loop.after(milliseconds(60), [&] { order.push_back(2); });
  running.loop.after(milliseconds(5), [&] { order.push_back(1); });
  running.loop.after(milliseconds(120), [&] { running.loop.stop(); });
  std::this_thread::sleep_for(milliseconds(200));
  running.finish();
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST(NetworkLoop, WhatNeverRanIsFreedWithTheLoop) {
  const auto held = std::make_shared<int>(1);
  std::shared_ptr<NetworkLoop::Core> outlives;
  {
    NetworkLoop loop;
    outlives = loop.core();
    loop.post([held] {});
    loop.after(milliseconds(1), [held] {});
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(NetworkLoop, ATimerThatIsDueWhenTheLoopEndsIsDropped) {
  NetworkLoop loop;
  bool ran = false;
  loop.after(milliseconds(1), [&] { loop.stop(); });
  loop.after(milliseconds(1), [&] { ran = true; });
  loop.post([] { std::this_thread::sleep_for(milliseconds(20)); });  // both are due at once
  loop.run();
  loop.core()->close();
  loop.core()->io.restart();
  loop.core()->io.poll();
  EXPECT_FALSE(ran);
}

// Notes what reaches it.
struct Notes : AnswerSink {
  void send(HttpResponse response) override { seen.push_back("send " + std::to_string(response.status)); }
  void begin(HttpResponse) override { seen.emplace_back("begin"); }
  void write(std::string bytes) override { seen.push_back("write " + bytes); }
  void end() override { seen.emplace_back("end"); }
  void cut() override { seen.emplace_back("cut"); }
  std::vector<std::string> seen;
};

TEST(Responder, KeepsTheOrderOfCallsFromOtherThreads) {
  RunningLoop running;
  Notes notes;
  {
    const auto responder = make_responder(std::make_shared<ExchangeLink>(running.loop.core(), notes));
    responder->begin({});
    for (int i = 0; i < 3; ++i) responder->write(std::to_string(i));
    responder->end();
  }
  running.finish();
  // The last is the responder that goes: a connection would have detached at the end.
  EXPECT_THAT(notes.seen, ElementsAre("begin", "write 0", "write 1", "write 2", "end", "cut"));
}

TEST(Responder, DroppedUnansweredIsAnError) {
  RunningLoop running;
  Notes notes;
  make_responder(std::make_shared<ExchangeLink>(running.loop.core(), notes));
  running.finish();
  EXPECT_THAT(notes.seen, ElementsAre("send 500"));
}

TEST(Responder, AfterTheClientHasLeftNothingArrives) {
  RunningLoop running;
  Notes notes;
  std::vector<std::string> calls;
  auto link = std::make_shared<ExchangeLink>(running.loop.core(), notes);
  auto responder = make_responder(link);
  running.loop.post([&] {
    responder->on_gone([&] {
      calls.emplace_back("gone");
      responder->write("from within");
    });
    link->leave();
    responder->on_gone([&] { calls.emplace_back("gone already"); });
    responder->send({});
  });
  running.finish();
  EXPECT_THAT(calls, ElementsAre("gone", "gone already"));
  EXPECT_TRUE(notes.seen.empty());
}

TEST(Responder, AnsweredWellItNeverHearsOfTheClientAgain) {
  RunningLoop running;
  Notes notes;
  bool gone = false;
  auto link = std::make_shared<ExchangeLink>(running.loop.core(), notes);
  auto responder = make_responder(link);
  running.loop.post([&] {
    responder->on_gone([&] { gone = true; });
    link->detach();
    responder->on_gone([&] { gone = true; });
  });
  running.finish();
  EXPECT_FALSE(gone);
}

}  // namespace
}  // namespace vortex::server

#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include "server/http/error_body.h"
#include "support/loopback_client.h"

namespace vortex::server {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Call = std::shared_ptr<Responder>;

// A server on its thread, with handlers whose responders the test takes into its own hands.
class Served {
 public:
  explicit Served(HttpOptions options = {}) {
    options.port = 0;
    options.on_finished = [this](const AccessRecord& record) {
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
    server = HttpServer::create(std::move(options), routes()).value();
    thread_ = std::thread([this] { server->run(); });
  }
  ~Served() {
    server->stop();
    join();
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  LoopbackClient client() const { return LoopbackClient(server->port()); }
  std::string ask(const std::string& request) const {
    LoopbackClient one = client();
    one.send(request);
    return one.read_answer();
  }

  /// The call of GET /held, once it has come.
  Call held() {
    for (int i = 0; i < 2000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (held_) return std::exchange(held_, nullptr);
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    return nullptr;
  }
  std::vector<AccessRecord> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(5));
    return condition();
  }

  std::unique_ptr<HttpServer> server;

 private:
  std::vector<Route> routes() {
    return {
        {"GET", "/health", Access::kPublic, [](const HttpRequest&, const Call& call) { call->send({.body = "{}"}); }},
        {"POST", "/echo", Access::kUser,
         [](HttpRequest request, const Call& call) { call->send({.body = std::move(request.body)}); }},
        {"GET", "/held", Access::kUser,
         [this](const HttpRequest&, const Call& call) {
           const std::lock_guard lock(mutex_);
           held_ = call;
         }},
    };
  }

  std::thread thread_;
  mutable std::mutex mutex_;
  Call held_;
  std::vector<AccessRecord> records_;
};

std::string get(const std::string& path, const std::string& headers = {}) {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}
std::string post(const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  const Served served;
  LoopbackClient client = served.client();
  for (const char* body : {"first", "", "third"}) {
    client.send(post(body));
    EXPECT_THAT(client.read_answer(), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("x-request-id: req-"),
                                            testing::EndsWith(std::string("\r\n\r\n") + body)));
  }
  client.send(get("/health", "Connection: close\r\n"));
  EXPECT_THAT(client.read_to_end(), HasSubstr("connection: close\r\n"));
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Served served;
  LoopbackClient client = served.client();
  client.send(get("/held") + post("second") + get("/nothing") + get("/health", "Connection: close\r\n"));
  const Call call = served.held();
  ASSERT_NE(call, nullptr);
  call->send({.body = "first"});
  const std::string answers = client.read_to_end();
  const std::size_t first = answers.find("\r\n\r\nfirst"), second = answers.find("\r\n\r\nsecond"),
                    third = answers.find("HTTP/1.1 404"), fourth = answers.find("\r\n\r\n{}");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_LT(third, fourth);
  EXPECT_NE(fourth, std::string::npos);
}

TEST(HttpServer, ManyPipelinedRequestsNeedNoStack) {
  const Served served;
  LoopbackClient client = served.client();
  std::string requests;
  for (int i = 0; i < 5000; ++i) requests += get("/health");
  std::thread sender([&] { client.send(requests + get("/health", "Connection: close\r\n")); });
  const std::string answers = client.read_to_end();
  sender.join();
  int count = 0;
  for (std::size_t at = 0; (at = answers.find("HTTP/1.1 200 OK", at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 5001);
}

TEST(HttpServer, HeadHasNoBody) {
  const Served served;
  LoopbackClient client = served.client();
  client.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + get("/nothing"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("content-length: 2\r\n"));
  EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 404"));
}

TEST(HttpServer, ContinuesWhoeverAsksFirst) {
  const Served served;
  LoopbackClient client = served.client();
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  EXPECT_THAT(client.read_answer(), testing::EndsWith("hello"));
  client.send("POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.read_to_end(), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("connection: close")));
}

TEST(HttpServer, StreamsInChunks) {
  Served served;
  LoopbackClient client = served.client();
  client.send(get("/held"));
  const Call call = served.held();
  call->begin({.content_type = "text/event-stream"});
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("transfer-encoding: chunked\r\n"));
  call->write("data: 1\n\n");
  EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  call->write("");
  call->end();
  EXPECT_EQ(client.read_until("\r\n\r\n"), "0\r\n\r\n");
  client.send(get("/health"));
  EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, AnOldClientIsStreamedToUntilTheEnd) {
  Served served;
  LoopbackClient client = served.client();
  client.send("GET /held HTTP/1.0\r\n\r\n");
  const Call call = served.held();
  call->begin({.body = "one "});
  call->write("two");
  call->end();
  const std::string answer = client.read_to_end();
  EXPECT_THAT(answer, AllOf(testing::EndsWith("\r\n\r\none two"), Not(HasSubstr("chunked"))));
}

TEST(HttpServer, ACutAnswerLacksItsLastChunk) {
  Served served;
  LoopbackClient client = served.client();
  client.send(get("/held"));
  const Call call = served.held();
  call->begin({.body = "half"});
  call->cut();
  EXPECT_THAT(client.read_to_end(), testing::EndsWith("\r\n\r\n4\r\nhalf\r\n"));
}

TEST(HttpServer, NoticesAClientThatLeaves) {
  for (const bool streams : {false, true}) {
    Served served;
    std::atomic<bool> gone{false};
    Call call;
    {
      LoopbackClient client = served.client();
      client.send(get("/held"));
      call = served.held();
      call->on_gone([&] { gone = true; });
      if (streams) {
        call->begin({.body = "a"});
        client.read_until("a");
      }
    }
    EXPECT_TRUE(Served::eventually([&] { return gone.load(); })) << streams;
    ASSERT_TRUE(Served::eventually([&] { return served.records().size() == 1; }));
    EXPECT_EQ(served.records()[0].status, 499);
    EXPECT_TRUE(Served::eventually([&] { return served.server->stats().open_connections == 0; }));
  }
}

TEST(HttpServer, CutsAReaderThatFallsBehindTheCap) {
  Served served({.limits = {.output_bytes = 1 << 20}});
  LoopbackClient client = served.client();
  client.send(get("/held"));
  const Call call = served.held();
  std::atomic<bool> gone{false};
  call->on_gone([&] { gone = true; });
  call->begin({});
  for (int i = 0; i < 1000 && !gone; ++i) call->write(std::string(64 << 10, 'x'));
  EXPECT_TRUE(Served::eventually([&] { return gone.load(); }));
  EXPECT_EQ(served.server->stats().cut_connections, 1);
}

TEST(HttpServer, CutsAReaderThatStalls) {
  Served served({.limits = {.output_bytes = 1 << 30, .write_stall_time = milliseconds(200)}});
  LoopbackClient client = served.client();
  client.send(get("/held"));
  const Call call = served.held();
  std::atomic<bool> gone{false};
  call->on_gone([&] { gone = true; });
  call->begin({});
  call->write(std::string(32 << 20, 'x'));
  EXPECT_TRUE(Served::eventually([&] { return gone.load(); }));
}

TEST(HttpServer, GivesUpOnSlowRequests) {
  const milliseconds soon(150);
  const Served served({.limits = {.header_time = soon, .body_time = soon, .idle_time = soon}});
  LoopbackClient mute = served.client(), headers = served.client(), body = served.client(), idle = served.client();
  headers.send("GET /health HTT");
  body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel");
  idle.send(get("/health"));
  EXPECT_EQ(mute.read_to_end(), "");
  EXPECT_THAT(headers.read_to_end(), AllOf(StartsWith("HTTP/1.1 408"), HasSubstr("request_timeout")));
  EXPECT_THAT(body.read_to_end(), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(idle.read_to_end(), testing::EndsWith("\r\n\r\n{}"));
}

TEST(HttpServer, RefusesALargeBodyBeforeItIsSent) {
  const Served served({.limits = {.body_bytes = 1000}});
  LoopbackClient client = served.client();
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n");
  EXPECT_THAT(client.read_to_end(), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("request_too_large")));
}

TEST(HttpServer, BoundsTheBodiesOfAllClientsTogether) {
  const Served served({.limits = {.all_bodies_bytes = 1'500'000}});
  const std::string half(500'000, 'x');
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
  LoopbackClient first = served.client(), second = served.client(), third = served.client();
  for (LoopbackClient* client : {&first, &second}) client->send(head + half);
  std::this_thread::sleep_for(milliseconds(50));
  third.send(head + half + half);
  EXPECT_THAT(third.read_to_end(), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("overloaded")));
  first.send(half);  // there is room again
  EXPECT_THAT(first.read_answer(), testing::EndsWith(half + half));
  second.send(half);
  EXPECT_THAT(second.read_answer(), testing::EndsWith(half + half));
}

TEST(HttpServer, RequestIdsAreTheClientsWhenTheyAreSafe) {
  const Served served;
  EXPECT_THAT(served.ask(get("/health", "X-Request-Id: abc-1._Z\r\n")), HasSubstr("x-request-id: abc-1._Z\r\n"));
  for (const std::string& id : {std::string("a b"), std::string("\""), std::string(65, 'a'), std::string()}) {
    EXPECT_THAT(served.ask(get("/health", "X-Request-Id: " + id + "\r\n")), HasSubstr("x-request-id: req-")) << id;
  }
}

TEST(HttpServer, CountsByRouteWithoutNewLabels) {
  const Served served;
  served.ask(get("/health"));
  served.ask(get("/odd1"));
  served.ask(get("/odd2"));
  served.ask("BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(Served::eventually([&] { return served.records().size() == 4; }));
  const HttpStats stats = served.server->stats();
  ASSERT_EQ(stats.routes.size(), 4u);
  EXPECT_EQ(stats.routes[0].path, "/health");
  EXPECT_EQ(stats.routes[0].by_class[1], 1);
  EXPECT_EQ(stats.routes[3].path, "other");
  EXPECT_EQ(stats.routes[3].by_class[3], 3);
  EXPECT_EQ(stats.accepted_connections, 4);
  const AccessRecord record = served.records()[1];
  EXPECT_EQ(record.route, "");
  EXPECT_EQ(record.status, 404);
  EXPECT_THAT(record.client, StartsWith("127.0.0.1:"));
}

TEST(HttpServer, DrainsWhatRunsAndTurnsAwayTheRest) {
  Served served;
  LoopbackClient running = served.client();
  running.send(get("/held"));
  const Call call = served.held();
  served.server->drain();
  EXPECT_TRUE(served.server->draining());
  EXPECT_THAT(served.ask(get("/held")),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("\"draining\""), HasSubstr("retry-after: ")));
  EXPECT_THAT(served.ask(get("/health")), StartsWith("HTTP/1.1 200"));
  call->send({.body = "the last answer"});
  EXPECT_THAT(running.read_to_end(), testing::EndsWith("the last answer"));
  served.join();
}

TEST(HttpServer, StopDeliversWhatWasAnsweredBefore) {
  Served served;
  LoopbackClient client = served.client();
  client.send(get("/held"));
  const Call call = served.held();
  call->begin({});
  call->write("data: {\"error\":{}}\n\n");
  call->cut();
  served.server->stop();
  EXPECT_THAT(client.read_to_end(), testing::EndsWith("{\"error\":{}}\n\n\r\n"));
  served.join();
}

TEST(HttpServer, RespondersMayOutliveTheirServer) {
  Call call;
  {
    Served served;
    LoopbackClient client = served.client();
    client.send(get("/held"));
    call = served.held();
  }
  call->begin({});
  call->write("to nobody");
  call->end();
}

TEST(HttpServer, AtTheCapTheLongestIdleMakesRoomAndHealthAnswers) {
  Served served({.limits = {.connections = 2}});
  LoopbackClient busy1 = served.client(), idle = served.client();
  busy1.send(get("/held"));
  const Call first = served.held();
  idle.send(get("/health"));
  idle.read_answer();
  LoopbackClient busy2 = served.client();
  busy2.send(get("/held"));
  const Call second = served.held();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(idle.read_to_end(), "");  // evicted
  EXPECT_THAT(served.ask(get("/health")), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("connection: close")));
  EXPECT_THAT(served.ask(post("x")), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("overloaded")));
  first->send({});
  EXPECT_THAT(busy1.read_answer(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, SaysWhatIsInTheWayOfListening) {
  const Served served;
  const auto port = HttpServer::create({.port = served.server->port()}, {});
  ASSERT_FALSE(port.ok());
  EXPECT_EQ(port.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(port.error().to_string(), AllOf(HasSubstr("in use"), HasSubstr("--port")));
  EXPECT_THAT(HttpServer::create({.host = "no.such.host.invalid"}, {}).error().to_string(), HasSubstr("--host"));
  EXPECT_THAT(HttpServer::create({.tls_cert = "x.pem"}, {}).error().to_string(), HasSubstr("ssl-keyfile"));
  EXPECT_THAT(HttpServer::create({.tls_cert = "/none.pem", .tls_key = "/none.pem"}, {}).error().to_string(),
              AllOf(HasSubstr("/none.pem"), HasSubstr("certificate")));
}

TEST(HttpServer, TakesOverTheSocketOfADeadServerOnly) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "vortex_http_test.sock").string();
  std::filesystem::remove(path);
  const Served served({.uds = path});
  EXPECT_EQ(served.server->address(), "unix:" + path);
  EXPECT_EQ(served.server->port(), 0);
  EXPECT_THAT(HttpServer::create({.uds = path}, {}).error().to_string(), HasSubstr("another server"));
  EXPECT_THAT(HttpServer::create({.uds = testing::TempDir()}, {}).error().to_string(), HasSubstr("no socket"));
}

TEST(ErrorBody, HasTheShapeThatClientsParse) {
  const HttpResponse plain = error_response(400, "invalid_request_error", "", "a \"quote\" and \xff", "n");
  EXPECT_EQ(plain.body,
            "{\"error\":{\"message\":\"a \\\"quote\\\" and \xef\xbf\xbd\",\"type\":\"invalid_request_error\","
            "\"param\":\"n\",\"code\":null}}");
  EXPECT_EQ(plain.content_type, "application/json");
  EXPECT_THAT(error_response(503, "unavailable_error", "loading", "").headers,
              testing::Contains(testing::Pair("retry-after", "1")));
  EXPECT_THAT(internal_error_response().headers, testing::Contains(testing::Pair("x-should-retry", "false")));
}

}  // namespace
}  // namespace vortex::server

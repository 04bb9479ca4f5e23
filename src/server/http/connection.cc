#include "server/http/connection.h"

#include <exception>
#include <utility>

#include "base/log.h"
#include "server/http/error_body.h"

namespace vortex::server {
namespace {

// No further request is looked at while more than this waits for the client.
constexpr std::size_t kOutputBacklog = 256 << 10;

HttpResponse too_slow() {
  return error_response(408, "invalid_request_error", "request_timeout", "the request took too long to arrive");
}

HttpResponse overloaded(std::string_view why) { return error_response(503, "unavailable_error", "overloaded", why); }

std::optional<HttpResponse> busy_answer(const ServerContext& server, bool spare) {
  if (server.draining) {
    return error_response(503, "unavailable_error", "draining", "this server is about to stop; ask another");
  }
  if (spare) return overloaded("too many connections are open");
  return std::nullopt;
}

}  // namespace

Connection::Connection(ServerContext& server, int fd, std::string client, bool spare)
    : server_(server),
      transport_(server.tls ? tls_transport(fd, *server.tls) : plain_transport(fd)),
      client_(std::move(client)),
      socket_(server.loop->io, fd),
      spare_(spare) {}

void Connection::start() {
  place_ = server_.pool.add(shared_from_this());
  server_.stats.connection_opened();
  set_phase(Phase::kIdle, server_.options.limits.header_time);
  transport_ == nullptr ? close() : wait_readable();
}

// Requests are taken one after the other in a loop: answers may come at once, and thousands may be pipelined.
void Connection::advance() {
  if (advancing_) return;
  advancing_ = true;
  bool was_full = false;
  do {
    while (step()) {
    }
    was_full = output_.size() > kOutputBacklog;
    flush();
  } while (was_full && output_.size() <= kOutputBacklog);
  drop_consumed();
  advancing_ = false;
  if (wants_input()) wait_readable();
}

bool Connection::step() {
  switch (phase_) {
    case Phase::kIdle:
      return start_request();
    case Phase::kHeaders:
      return read_headers();
    case Phase::kBody:
      return read_body();
    default:
      return false;
  }
}

bool Connection::start_request() {
  if (output_.size() > kOutputBacklog) return false;
  // An empty line before a request is an old client's habit.
  while (input().starts_with("\r\n")) consumed_ += 2;
  if (input().empty() || input() == "\r") return false;
  parser_ = std::make_unique<RequestParser>(server_.options.limits);
  arrived_ = Clock::now();
  set_phase(Phase::kHeaders, server_.options.limits.header_time);
  return true;
}

bool Connection::read_headers() {
  const bool complete = parser_->parse_headers(input());
  if (!complete && !parser_->fault()) return false;
  start_exchange();
  if (complete) {
    consumed_ += parser_->header_bytes();
    judge();
  } else {
    refuse(parser_->fault()->response());
  }
  return true;
}

void Connection::start_exchange() {
  const HttpRequest& request = parser_->request();
  Exchange& exchange = exchange_.emplace();
  exchange.id = choose_request_id(request.header("x-request-id"));
  exchange.method = request.method.substr(0, 16);
  exchange.head_only = request.method == "HEAD";
  exchange.arrived = arrived_;
  server_.stats.exchange_started();
  ++server_.active_exchanges;
}

void Connection::judge() {
  const HttpLimits& limits = server_.options.limits;
  exchange_->http_1_0 = parser_->is_http_1_0();
  exchange_->keep_alive = parser_->keep_alive() && !spare_ && !server_.draining;
  exchange_->cors = server_.admission.cors_headers(parser_->request());
  Admission::Verdict verdict = server_.admission.judge(parser_->request(), busy_answer(server_, spare_));
  exchange_->route = verdict.route;
  if (verdict.refusal) {
    // What follows may be the body that was not asked for.
    return parser_->complete() ? send(std::move(*verdict.refusal)) : refuse(std::move(*verdict.refusal));
  }
  if (parser_->content_length().value_or(0) > static_cast<uint64_t>(limits.body_bytes)) {
    return refuse(RequestParser::body_too_large().response());
  }
  parser_->request().tenant = std::move(verdict.tenant);
  if (parser_->expects_continue() && !parser_->complete() && input().empty()) queue("HTTP/1.1 100 Continue\r\n\r\n");
  set_phase(Phase::kBody, limits.body_time);
}

bool Connection::read_body() {
  if (!parser_->complete()) {
    if (input().empty()) return false;
    const std::size_t taken = parser_->parse_body(input());
    consumed_ += taken;
    if (parser_->fault() || !body_fits()) {
      refuse(parser_->fault() ? parser_->fault()->response() : overloaded("too many bodies are being received"));
      return true;
    }
  }
  if (!parser_->complete()) return false;
  dispatch();
  return true;
}

bool Connection::body_fits() {
  const int64_t size = static_cast<int64_t>(parser_->request().body.size());
  server_.body_bytes += size - std::exchange(body_counted_, size);
  return server_.body_bytes <= server_.options.limits.all_bodies_bytes;
}

void Connection::drop_parser() {
  server_.body_bytes -= std::exchange(body_counted_, 0);
  parser_.reset();
}

void Connection::dispatch() {
  const Route& route = server_.router.routes()[exchange_->route];
  phase_ = Phase::kAnswering;
  server_.pool.set_busy(place_, in_busy_list_ = true);
  exchange_->link = std::make_shared<ExchangeLink>(server_.loop, *this);
  const std::shared_ptr<ExchangeLink> link = exchange_->link;
  HttpRequest request = std::move(parser_->request());
  request.id = exchange_->id;
  request.client = client_;
  request.arrived = arrived_;
  drop_parser();
  const auto responder = make_responder(link);
  try {
    route.handler(std::move(request), responder);
  } catch (const std::exception& failure) {
    log_error("{} {} failed: {}", route.method, route.path, failure.what());
    if (link->sink() != nullptr) exchange_->begun ? cut() : send(internal_error_response());
  }
}

// Answers without the handler, and without reading what may still come.
void Connection::refuse(HttpResponse response) {
  exchange_->keep_alive = false;
  send(std::move(response));
}

void Connection::enforce_deadlines(Clock::time_point now) {
  if (!output_.empty() && now - progress_ >= server_.options.limits.write_stall_time) {
    server_.stats.connection_cut();
    return abort();
  }
  if (now < deadline_) return;
  if (phase_ == Phase::kIdle || phase_ == Phase::kLingering) return close();
  if (phase_ != Phase::kHeaders && phase_ != Phase::kBody) return;
  guard([this] {
    if (!exchange_) start_exchange();
    refuse(too_slow());
  });
}

void Connection::drop_consumed() {
  input_.erase(0, consumed_);
  consumed_ = 0;
  if (input_.empty()) std::exchange(input_, {});
}

}  // namespace vortex::server

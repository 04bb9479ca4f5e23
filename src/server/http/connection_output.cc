// The half of a connection that answers.
#include <utility>

#include "server/http/connection.h"

namespace vortex::server {

void Connection::send(HttpResponse response) {
  if (exchange_->begun) return cut();
  exchange_->status = response.status;
  queue(response_head(response, exchange_->cors, frame()));
  if (!exchange_->head_only && response.status != 204) {
    exchange_->bytes = static_cast<int64_t>(response.body.size());
    queue(response.body);
  }
  finish_exchange();
}

void Connection::begin(HttpResponse head) {
  if (exchange_->begun) return;
  exchange_->begun = true;
  exchange_->status = head.status;
  exchange_->framing = exchange_->http_1_0 ? Framing::kUntilClose : Framing::kChunks;
  if (exchange_->framing == Framing::kUntilClose) exchange_->keep_alive = false;
  queue(response_head(head, exchange_->cors, frame()));
  if (exchange_->head_only) return finish_exchange();
  head.body.empty() ? flush() : write(std::move(head.body));
}

void Connection::write(std::string bytes) {
  if (!exchange_->begun || bytes.empty()) return;
  exchange_->bytes += static_cast<int64_t>(bytes.size());
  queue(exchange_->framing == Framing::kChunks ? chunk(bytes) : bytes);
  flush();
  if (phase_ == Phase::kClosed || static_cast<int64_t>(output_.size()) <= server_.options.limits.output_bytes) return;
  server_.stats.connection_cut();
  abort();
}

void Connection::end() {
  if (!exchange_->begun) return cut();
  if (exchange_->framing == Framing::kChunks) queue(kLastChunk);
  finish_exchange();
}

void Connection::cut() {
  exchange_->keep_alive = false;
  reset_on_close_ = exchange_->framing != Framing::kChunks;  // an orderly end would be the end of the answer
  if (!exchange_->begun) exchange_->status = 500;
  finish_exchange();
}

ResponseFrame Connection::frame() const {
  return {.request_id = exchange_->id,
          .framing = exchange_->framing,
          .keep_alive = exchange_->keep_alive,
          .keep_alive_is_news = exchange_->http_1_0};
}

void Connection::finish_exchange() {
  Exchange done = std::move(*exchange_);
  exchange_.reset();
  drop_parser();
  if (done.link) done.link->detach();
  record(done);
  if (done.keep_alive && !peer_ended_ && !server_.stopping) {
    if (in_busy_list_) server_.pool.set_busy(place_, in_busy_list_ = false);
    set_phase(Phase::kIdle, server_.options.limits.idle_time);
  } else {
    start_closing();
  }
  advance();
}

// The client is gone, or as good as gone.
void Connection::leave_exchange() {
  Exchange left = std::move(*exchange_);
  exchange_.reset();
  drop_parser();
  left.status = 499;
  record(left);
  if (left.link) left.link->leave();
}

void Connection::record(const Exchange& exchange) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - exchange.arrived).count();
  --server_.active_exchanges;
  server_.stats.exchange_finished(exchange.route, exchange.status, seconds);
  if (server_.options.on_finished) {
    const bool matched = exchange.route != Router::npos;
    server_.options.on_finished({.id = exchange.id,
                                 .method = exchange.method,
                                 .route = matched ? server_.router.routes()[exchange.route].path : std::string(),
                                 .status = exchange.status,
                                 .bytes = exchange.bytes,
                                 .seconds = seconds,
                                 .client = client_});
  }
  server_.on_change();
}

void Connection::queue(std::string_view bytes) {
  if (output_.empty()) progress_ = Clock::now();
  output_.append(bytes);
}

void Connection::flush() {
  while (!output_.empty() && phase_ != Phase::kClosed) {
    const IoResult result = transport_->write(output_.pending());
    switch (result.kind) {
      case IoResult::Kind::kDone:
        output_.consume(result.bytes);
        progress_ = Clock::now();
        break;
      case IoResult::Kind::kWantsWrite:
        return wait_writable();
      case IoResult::Kind::kWantsRead:  // TLS; reading goes on anyway and flushes again
        return;
      default:
        return abort();
    }
  }
  if (phase_ == Phase::kClosing) start_lingering();
}

}  // namespace vortex::server

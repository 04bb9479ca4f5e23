// The open connections, those that wait for a request apart from those that are being answered.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>

namespace vortex::server {

class Connection;

class ConnectionPool {
 public:
  using Place = std::list<std::shared_ptr<Connection>>::iterator;

  std::size_t size() const { return waiting_.size() + busy_.size(); }
  /// At the end of those that wait.
  Place add(std::shared_ptr<Connection> connection) { return waiting_.insert(waiting_.end(), std::move(connection)); }
  std::shared_ptr<Connection> remove(Place place, bool busy) {
    std::shared_ptr<Connection> connection = std::move(*place);
    (busy ? busy_ : waiting_).erase(place);
    return connection;
  }
  /// Moves a connection between the lists; `place` stays valid.
  void set_busy(Place place, bool busy) {
    (busy ? busy_ : waiting_).splice((busy ? busy_ : waiting_).end(), busy ? waiting_ : busy_, place);
  }
  /// The one that has waited longest; null when all are being answered.
  std::shared_ptr<Connection> longest_waiting() const { return waiting_.empty() ? nullptr : waiting_.front(); }
  /// `visit` may remove connections, also others than its own.
  void for_each(const std::function<void(Connection&)>& visit) const {
    auto all = waiting_;
    all.insert(all.end(), busy_.begin(), busy_.end());
    for (const auto& connection : all) visit(*connection);
  }

 private:
  std::list<std::shared_ptr<Connection>> waiting_, busy_;
};

}  // namespace vortex::server

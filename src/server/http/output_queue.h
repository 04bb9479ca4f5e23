// Bytes that wait for a client to take them.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace vortex::server {

class OutputQueue {
 public:
  void append(std::string_view bytes) { buffer_.append(bytes); }
  std::string_view pending() const { return std::string_view(buffer_).substr(taken_); }
  bool empty() const { return taken_ == buffer_.size(); }
  std::size_t size() const { return buffer_.size() - taken_; }

  void consume(std::size_t bytes) {
    taken_ += bytes;
    if (empty()) {
      // Thousands of streams wait with nothing to say: none keeps the memory of its largest answer.
      if (buffer_.capacity() > kKept) std::exchange(buffer_, {});
      buffer_.clear();
      taken_ = 0;
    } else if (taken_ > buffer_.size() / 2) {
      buffer_.erase(0, std::exchange(taken_, 0));
    }
  }

 private:
  static constexpr std::size_t kKept = 2048;

  std::string buffer_;
  std::size_t taken_ = 0;
};

}  // namespace vortex::server

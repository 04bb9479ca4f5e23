// Messages between ranks: field after field in this machine's byte order, for all ranks run one build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace vortex::model {

class MessageWriter {
 public:
  template <typename T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(&v, sizeof v);
  }
  /// Its length, then its elements.
  template <typename T>
  void list(std::span<const T> items) {
    static_assert(std::is_trivially_copyable_v<T>);
    value(static_cast<int64_t>(items.size()));
    append(items.data(), items.size_bytes());
  }
  void text(const std::string& s) { list(std::span<const char>(s)); }
  void clear() { bytes_.clear(); }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    if (size > 0) bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<std::byte> bytes_;
};

/// The same back. What does not fit is void, and failed() says so.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <typename T>
  T value() {
    T v{};
    take(&v, sizeof v);
    return v;
  }
  template <typename T>
  void list(std::vector<T>* out) {
    out->resize(count_of(sizeof(T)));
    take(out->data(), out->size() * sizeof(T));
  }
  std::string text() {
    std::string s(count_of(1), '\0');
    take(s.data(), s.size());
    return s;
  }
  bool failed() const { return failed_; }

 private:
  /// 0 where fewer are left.
  size_t count_of(size_t bytes_each) {
    const auto count = value<int64_t>();
    if (count < 0 || static_cast<uint64_t>(count) > left_.size() / bytes_each) failed_ = true;
    return failed_ ? 0 : static_cast<size_t>(count);
  }
  void take(void* to, size_t size) {
    if (size > left_.size()) failed_ = true;
    if (failed_ || size == 0) return;
    std::memcpy(to, left_.data(), size);
    left_ = left_.subspan(size);
  }
  std::span<const std::byte> left_;
  bool failed_ = false;
};

}  // namespace vortex::model

// Interner: gives equal lists equal numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace vortex::grammar {

/// Lists of plain values without padding, numbered from 0 in the order of their first appearance.
template <class T>
class Interner {
  static_assert(std::has_unique_object_representations_v<T>);

 public:
  /// The number of `list`, and whether it is new.
  std::pair<uint32_t, bool> add(std::span<const T> list) {
    const size_t hash = hash_of(list);
    const auto [first, last] = numbers_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
      if (std::ranges::equal(at(it->second), list)) return {it->second, false};
    }
    const auto number = static_cast<uint32_t>(ends_.size());
    items_.insert(items_.end(), list.begin(), list.end());
    ends_.push_back(items_.size());
    numbers_.emplace(hash, number);
    return {number, true};
  }

  /// Valid until the next add().
  std::span<const T> at(uint32_t number) const {
    const size_t begin = number == 0 ? 0 : ends_[number - 1];
    return std::span(items_).subspan(begin, ends_[number] - begin);
  }

  size_t size() const { return ends_.size(); }
  size_t bytes() const { return items_.size() * sizeof(T) + ends_.size() * (sizeof(size_t) + kBytesOfANumber); }

 private:
  static constexpr size_t kBytesOfANumber = 40;  // a node of the map and its bucket

  static size_t hash_of(std::span<const T> list) {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(list.data()), list.size_bytes()});
  }

  std::vector<T> items_;
  std::vector<size_t> ends_;
  std::unordered_multimap<size_t, uint32_t> numbers_;
};

}  // namespace vortex::grammar

// Memory that frees itself: arrays on the device, and pinned ones on the host that copies may be asynchronous from.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <utility>

#include "device/cuda/check.h"

namespace vortex::cuda {

namespace internal {
void* allocate_device(int64_t bytes);
void free_device(void* data);
void* allocate_pinned(int64_t bytes);
void free_pinned(void* data);
}  // namespace internal

/// `T`s that `Allocate` made and `Free` takes back. Contents are undefined.
template <class T, void* (*Allocate)(int64_t), void (*Free)(void*)>
class OwnedArray {
 public:
  OwnedArray() = default;
  explicit OwnedArray(int64_t size)
      : data_(size > 0 ? static_cast<T*>(Allocate(size * static_cast<int64_t>(sizeof(T)))) : nullptr), size_(size) {}
  ~OwnedArray() { Free(data_); }
  OwnedArray(OwnedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  OwnedArray& operator=(OwnedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() const { return data_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(T)); }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

template <class T>
using DeviceArray = OwnedArray<T, internal::allocate_device, internal::free_device>;
template <class T>
using PinnedArray = OwnedArray<T, internal::allocate_pinned, internal::free_pinned>;

/// A device array with a copy of `values`. Waits for the copy.
template <class T>
DeviceArray<T> to_device(std::span<const T> values) {
  DeviceArray<T> out(static_cast<int64_t>(values.size()));
  if (!values.empty())
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice));
  return out;
}

}  // namespace vortex::cuda

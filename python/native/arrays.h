// Vectors as numpy arrays that own their memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace vortex::python {

/// A new array in C order, of as many elements as the vector; its memory becomes the array's.
template <class T, size_t kDims>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<kDims>> to_array(std::vector<T> values,
                                                                      const std::array<size_t, kDims>& shape) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  T* const data = owned->data();
  const nanobind::capsule owner(owned.get(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  owned.release();
  return {data, kDims, shape.data(), owner};
}

template <class T>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>> to_array(std::vector<T> values) {
  const std::array<size_t, 1> shape{values.size()};
  return to_array(std::move(values), shape);
}

}  // namespace vortex::python

// Vectors as numpy arrays that own their memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <utility>
#include <vector>

namespace vortex::python {

/// A new array of one dimension; the vector's memory becomes its own.
template <class T>
nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<1>> to_array(std::vector<T> values) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  std::vector<T>* const vector = owned.get();
  const nanobind::capsule owner(vector, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  owned.release();
  return {vector->data(), {vector->size()}, owner};
}

}  // namespace vortex::python

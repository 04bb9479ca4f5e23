// The parts of vortex._native, one file each. Their Python signatures are in python/vortex/_native.pyi.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "base/result.h"

namespace vortex::python {

void add_engine(nanobind::module_& m);
void add_flow(nanobind::module_& m);
void add_eval(nanobind::module_& m);

/// Throws `error` as the Python exception of its code (python/vortex/errors.py). The caller holds the GIL.
[[noreturn]] void raise(const Error& error);

/// The value, or its error as a Python exception.
template <class T>
T unwrap(Result<T> result) {
  if (!result.ok()) raise(result.error());
  return std::move(result).value();
}
inline void unwrap(const Status& status) {
  if (!status.ok()) raise(status.error());
}

/// What `work` gives, other Python threads running meanwhile. It must not touch Python. A failed check of ours becomes
/// a Python exception.
template <class Work>
auto without_gil(Work&& work) {
  const nanobind::gil_scoped_release released;
  const ThrowOnCheckFailure scope;
  return work();
}

}  // namespace vortex::python

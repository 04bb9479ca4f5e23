// What a spinning thread tells the processor.
#pragma once

namespace vortex {

/// A short pause that lets the core's other thread run.
inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace vortex

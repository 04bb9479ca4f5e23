// Runner: a model on one device, step after step. The engine says what a step computes (Batch) and where pages lie; the
// runner owns the weights, queues the step and hands back tokens and logits. The CPU's runs a step where it is
// launched; the GPU's queues it, so that the engine can prepare the next one meanwhile.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "model/decoder.h"

namespace vortex::model {

/// The largest step, and what all steps share. By these a runner sizes its memory.
struct RunnerLimits {
  int sequences = 0;           // of a step
  int64_t batched_tokens = 0;  // new tokens of a step, at least `sequences`
  int64_t max_length = 0;      // tokens of a sequence
  int reserved_bos = 1, reserved_eos = 1;
};

class Runner {
 public:
  virtual ~Runner() = default;

  virtual const ModelConfig& config() const = 0;
  /// Where the pages are to be allocated.
  virtual device::Device* device() = 0;
  /// Type of K and V in the cache.
  virtual DType kv_dtype() const = 0;
  /// Bytes that pages may take when nobody said how many; 0: no opinion. `fraction` of the device's memory is ours.
  virtual int64_t page_memory(const RunnerLimits& limits, double fraction) const = 0;

  /// Before the first step, once: `pages` (one view a layer, valid as long as the runner runs) and the flow.
  virtual Status prepare(const RunnerLimits& limits, std::span<const PageView> pages, const Sparsity& sparsity) = 0;

  /// Steps that may be launched before the oldest is finished: 1, or 2 where steps are queued.
  virtual int depth() const = 0;
  /// Whether batch.draws and batch.draw_of are honoured. Where not, all logits go to the host.
  virtual bool draws_on_device() const = 0;
  /// Starts a step. `batch` is read before it returns; where depth() is 1, it stays as it is until finish(). An error
  /// is the device's: no further step will run.
  virtual Status launch(const Batch& batch, SelectionHook* hook) = 0;
  /// Waits for the oldest step that was launched. The result is valid until the second next launch(). `logits`
  /// [logit_tokens, vocab_size] gets the rows that batch.draws leaves to the host; the others are void. It may be null
  /// when there are none for the host.
  virtual Result<const StepResult*> finish(float* logits) = 0;

  /// Fills the first `count` tokens of a sequence with noise in every layer, and the flow's fields of their pages.
  virtual void fill_synthetic(std::span<const SlabId> table, int64_t count) = 0;
};

}  // namespace vortex::model

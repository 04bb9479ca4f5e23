// FlowLab: many ways to decode after one prefill, for evaluation. Prefill is dense and a flow's fields depend on K and
// V alone, so the prompt is computed once, each flow fills fields of its own beside the shared K and V, and every
// variant decodes from there. Going back to the prompt is free: what decode stored after it is overwritten by the next
// variant.
//
//   lab.reserve(longest, answer); lab.prefill(prompt);
//   for each variant: lab.start(variant); while (...) logits = lab.step(token);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "engine/completion.h"
#include "engine/loaded_model.h"
#include "engine/text_codec.h"
#include "kv/store/kv_store.h"
#include "tensor/sequence_state.h"

namespace vortex {

/// One way to decode.
struct LabVariant {
  std::string name;                    // for reports
  std::optional<VortexConfig> config;  // absent: dense; module_name may be a control's (selection_controls.h)
};

/// What decode read; sums over steps, sparse layers and rows. A page counts whole.
struct LabReads {
  SparsityReport sparsity;
  int64_t metadata_bytes = 0;  // fields read to score pages; none for controls and dense steps
  int64_t page_bytes = 0;      // K and V of the pages read
  int64_t held_bytes = 0;      // K and V of all pages: what dense attention reads

  /// Bytes read against those of dense attention; 1 when dense.
  double byte_fraction() const;
  void add(const LabReads& other);
};

struct LabAnswer {
  std::string text;
  std::vector<int32_t> tokens;  // the one that ends the text included
  LabReads reads;
};

class FlowLab {
 public:
  /// Tokens computed so far. False: stop, with kCancelled.
  using OnProgress = FunctionRef<bool(int64_t tokens_done)>;

  /// Loads the model of `options` (options.vortex is ignored) and compiles the variants' flows. Errors: what
  /// Engine::create refuses, block sizes that do not fit --page-size.
  static Result<std::unique_ptr<FlowLab>> create(const EngineOptions& options, std::vector<LabVariant> variants);
  ~FlowLab();

  const ModelConfig& config() const { return model_.config(); }
  WorkerPool* pool() const { return model_.pool.get(); }
  /// Null when a dummy model has no tokenizer.
  const TextCodec* codec() const { return codec_.get(); }
  std::span<const LabVariant> variants() const { return variants_; }
  /// Bytes of fields that scoring one page reads, for one kv head; 0 for dense and controls.
  int64_t metadata_bytes_per_page(size_t variant) const;
  /// Bytes of K and V of one of the variant's pages, for one kv head.
  int64_t kv_bytes_per_page(size_t variant) const;

  /// Makes room for prompts of `prompt` tokens and up to `generated` more, as many of these as the context allows;
  /// forgets the prompt. kResourceExhausted when the context, the memory or --kv-cache-memory-bytes is too small.
  Status reserve(int64_t prompt, int64_t generated);

  /// Computes a prompt of at least one token and every flow's fields. kInvalidArgument when it does not fit what was
  /// reserved, or has ids that are not in the vocabulary.
  Status prefill(std::span<const int32_t> prompt, OnProgress on_progress);
  /// After the prompt's last token: [vocab_size].
  std::span<const float> prompt_logits() const { return prompt_logits_; }

  /// Back to the end of the prompt; from here on `variant` decodes. `observer` sees each selection; may be null.
  void start(size_t variant, model::SelectionHook* observer = nullptr);
  /// Decodes `token`: logits of the next one [vocab_size], valid until the next call. Error: the flow scored NaN, or no
  /// room is left.
  Result<std::span<const float>> step(int32_t token);
  /// Since start().
  const LabReads& reads() const { return reads_; }

  /// The greedy answer to the prompt under `variant`, as Engine gives it: to an end-of-text token, or `max_tokens`.
  Result<LabAnswer> answer(size_t variant, int64_t max_tokens);

 private:
  struct Lens;
  struct Runner;

  FlowLab();
  Status add_runner(const LabVariant& variant);
  Result<Lens*> find_lens(const VortexConfig* config);
  Status choose_slab();
  Status open_lens(Lens* lens, int32_t slabs);
  void update_fields();
  SequencePlan plan_step();
  void fill_batch(int32_t token);
  void count_step(const SequencePlan& plan, int64_t read);
  std::string decode_text(std::span<const int32_t> tokens) const;

  EngineOptions options_;
  LoadedModel model_;
  std::unique_ptr<TextCodec> codec_;
  std::vector<LabVariant> variants_;
  std::vector<std::unique_ptr<Lens>> lenses_;
  std::vector<Runner> runners_;  // by variant

  int slab_tokens_ = 0;   // a multiple of every block size: K and V lie the same for all of them
  int64_t capacity_ = 0;  // tokens
  std::unique_ptr<kv::KvStore> store_;
  std::vector<SlabId> table_;

  int64_t prompt_tokens_ = 0, length_ = 0;
  std::vector<float> prompt_logits_, logits_;
  Runner* current_ = nullptr;
  std::unique_ptr<model::SelectionHook> control_;
  model::SelectionHook* observer_ = nullptr;
  SequenceState state_;
  LabReads reads_;
  model::Batch batch_;
};

}  // namespace vortex

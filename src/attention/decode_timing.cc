#include "attention/decode_timing.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "attention/attention.h"
#include "attention/decode_case.h"
#include "base/median.h"
#include "base/worker_pool.h"

namespace vortex::attention {
namespace {

constexpr int kRepeats = 9;
constexpr int64_t kColdBytes = int64_t{256} << 20;  // that layers read together, so that no cache holds it,
constexpr int64_t kMostBytes = int64_t{1} << 30;    // unless they would store more than this
constexpr double kTolerance = 1e-3;

template <class Work>
double median_us(const Work& work) {
  std::vector<double> times;
  for (int i = 0; i < kRepeats + 2; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work(i);
    const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - begin;
    if (i >= 2) times.push_back(us.count());
  }
  return median(std::move(times));
}

std::vector<std::byte> fill(int64_t bytes, WorkerPool* pool) {
  const std::vector<uint16_t> noise = noise_block();
  const auto block = static_cast<int64_t>(2 * noise.size());
  std::vector<std::byte> out(static_cast<size_t>(bytes));
  pool->parallel_items((bytes + block - 1) / block, [&](int64_t i, int) {
    std::memcpy(out.data() + i * block, noise.data(), static_cast<size_t>(std::min(block, bytes - i * block)));
  });
  return out;
}

double copy_rate(int64_t bytes, WorkerPool* pool) {
  std::vector<std::byte> from(static_cast<size_t>(bytes), std::byte{1}), to(from);
  const double us = median_us([&](int) {
    pool->parallel_ranges(bytes, 4096, [&](int64_t begin, int64_t end, int) {
      std::memcpy(to.data() + begin, from.data() + begin, static_cast<size_t>(end - begin));
    });
  });
  return 2e-3 * static_cast<double>(bytes) / us;
}

}  // namespace

Result<DecodeTiming> time_decode(const DecodeTask& task, WorkerPool* pool) {
  const DecodeCase made(task);
  const int64_t field_bytes = task.stored_bytes() / task.fields();
  const auto copies = std::clamp<int64_t>(kColdBytes / task.read_bytes(), 1, kMostBytes / task.stored_bytes() + 1);
  std::vector<std::vector<std::byte>> memory;
  for (int f = 0; f < task.fields(); ++f) memory.push_back(fill(copies * field_bytes, pool));
  const auto fields_of = [&](int64_t layer) {
    std::vector<FieldView> fields;
    for (auto& field : memory)
      fields.push_back({field.data() + layer % copies * field_bytes, task.page_bytes(), task.page_tokens, task.head_dim,
                        DType::kBF16});
    return fields;
  };
  const auto ops = make_cpu_attention_ops(pool);
  const AttentionShape shape{.group = task.group, .scale = task.scale, .latent_rank = task.latent_rank};
  std::vector<float> out(static_cast<size_t>(task.rows()) * static_cast<size_t>(task.group) *
                         static_cast<size_t>(task.value_dim()));
  const auto decode = [&](int64_t layer) {
    const std::vector<FieldView> fields = fields_of(layer);
    const PageView view{fields, task.kv_heads, task.page_tokens, task.page_tokens};
    ops->decode(view, made.list(), shape, made.queries().data(), out.data());
  };
  decode(0);
  DecodeTiming timing;
  VORTEX_ASSIGN_OR_RETURN(timing.error, made.compare(out, kTolerance, [&](int field, PageId page, std::byte* to) {
    std::memcpy(to, memory[static_cast<size_t>(field)].data() + page * task.page_bytes(),
                static_cast<size_t>(task.page_bytes()));
  }));
  timing.us = median_us(decode);
  timing.copy_gb_per_s = copy_rate(task.copy_bytes, pool);
  return timing;
}

}  // namespace vortex::attention

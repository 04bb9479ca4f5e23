#include "flow/backends/cuda/cuda_flow.h"

#include <algorithm>

#include "base/check.h"
#include "device/cuda/memory.h"
#include "device/cuda/program.h"
#include "flow/backends/cuda/flow_args.h"
#include "flow/backends/cuda/source.h"

namespace vortex::flow {
namespace {

using flow_code::Args;

constexpr int64_t kMostWorkspace = int64_t{512} << 20;  // bytes: kernels that need more run with fewer blocks

/// A kernel and how it is launched.
struct Launch {
  cudaKernel_t kernel = nullptr;
  int threads = 0, shared = 0;
  int blocks = 0;  // at most: as many as run at a time

  void run(const Args& args, int64_t work, cudaStream_t stream) const {
    if (work <= 0) return;
    void* arguments[] = {const_cast<Args*>(&args)};
    const auto grid = static_cast<unsigned>(std::min<int64_t>(blocks, work));
    VORTEX_CUDA_CHECK(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(grid),
                                       dim3(static_cast<unsigned>(threads)), arguments, static_cast<size_t>(shared),
                                       stream));
  }
};

class CompiledCudaFlow final : public CudaFlow {
 public:
  CompiledCudaFlow(const Plan& plan, const CudaFlowLimits& limits, const FlowSource& source, const std::string& code)
      : plan_(plan), limits_(limits), program_(code), state_bytes_(source.state_bytes) {
    update_ = prepare("flow_update", source.threads, source.update_shared, source.update_floats);
    if (source.rows_kernel) rows_ = prepare("flow_rows", source.threads, 0, 0);
    pages_ = prepare("flow_pages", source.threads, source.pages_shared, source.pages_floats);
    choose_ = prepare("flow_choose", source.choose_threads, source.choose_shared, source.choose_floats);
    choose_few_ = prepare("flow_choose", source.few_threads, source.few_shared, source.choose_floats);
    if (source.saves) saved_ = prepare("flow_saved", source.threads, 0, 0);
    page_scratch_ = cuda::DeviceArray<float>(source.page_floats);
    row_scratch_ = cuda::DeviceArray<float>(source.row_floats);
    sort_scratch_ = cuda::DeviceArray<unsigned long long>(source.sort_numbers);
    team_scratch_ = cuda::DeviceArray<float>(workspace_);
    load_weights(source.projects);
  }

  void update(const PageView& view, const cuda::StepView& step, const cuda::TokenView& tokens,
              cudaStream_t stream) override {
    Args args = arguments(view, step, nullptr, nullptr);
    args.tokens = tokens;
    update_.run(args, int64_t{tokens.count} * limits_.kv_heads, stream);
  }

  void score(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
             cudaStream_t stream) override {
    const Args args = arguments(view, step, q, states);
    const int64_t rows = rows_of(step);
    if (rows == 0) return;
    if (rows_.kernel != nullptr) rows_.run(args, rows, stream);
    pages_.run(args, pages_.blocks, stream);
  }

  void choose(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
              cuda::ListView list, int32_t* nan_sequences, cudaStream_t stream) override {
    Args args = arguments(view, step, q, states);
    args.list = list;
    args.nan_sequences = nan_sequences;
    const int64_t rows = rows_of(step);
    (rows <= choose_few_.blocks ? choose_few_ : choose_).run(args, rows, stream);
  }

  void decode(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states,
              cuda::ListView list, int32_t* nan_sequences, cudaStream_t stream) override {
    score(view, step, q, states, stream);
    choose(view, step, q, states, list, nan_sequences, stream);
    if (saved_.kernel != nullptr && step.decodes > 0)
      saved_.run(arguments(view, step, q, states), (step.decodes + saved_.threads - 1) / saved_.threads, stream);
  }

  int64_t state_bytes() const override { return state_bytes_; }

 private:
  Launch prepare(const char* name, int threads, int shared, int64_t block_floats) {
    Launch launch{program_.kernel(name), threads, shared, 0};
    const void* function = reinterpret_cast<const void*>(launch.kernel);
    if (shared > 0)  // a later call for the same kernel asks for no less
      VORTEX_CUDA_CHECK(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    int device = 0, multiprocessors = 0, each = 0;
    VORTEX_CUDA_CHECK(cudaGetDevice(&device));
    VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device));
    VORTEX_CUDA_CHECK(
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, function, threads, static_cast<size_t>(shared)));
    VORTEX_CHECK(each > 0, "{} does not fit the device", name);
    launch.blocks = multiprocessors * each;
    if (block_floats > 0) {
      const int64_t most = std::max<int64_t>(1, kMostWorkspace / (4 * block_floats));
      launch.blocks = static_cast<int>(std::min<int64_t>(launch.blocks, most));
      workspace_ = std::max(workspace_, block_floats * launch.blocks);
    }
    return launch;
  }

  void load_weights(const std::vector<NodeId>& projects) {
    std::vector<const uint16_t*> pointers;
    for (int layer = 0; layer < limits_.layers; ++layer) {
      for (NodeId n : projects) {
        const Program& program = plan_.indexer.program;
        const Node& node = program.node(n);
        const uint16_t* weights = plan_.weights(node, layer);
        if (weights != nullptr) {
          const int64_t count = program.type(node.output).elements() * program.type(node.inputs[0]).elements();
          weights_.push_back(cuda::to_device(std::span(weights, static_cast<size_t>(count))));
        }
        pointers.push_back(weights == nullptr ? nullptr : weights_.back().data());
      }
    }
    weight_pointers_ = cuda::to_device(std::span<const uint16_t* const>(pointers));
  }

  int64_t rows_of(const cuda::StepView& step) const {
    VORTEX_CHECK(step.decodes <= limits_.sequences, "{} decodes, at most {}", step.decodes, limits_.sequences);
    return int64_t{step.decodes} * limits_.kv_heads;
  }

  Args arguments(const PageView& view, const cuda::StepView& step, const __nv_bfloat16* q, void* const* states) const {
    Args args;
    args.step = step;
    args.layer = view.layer;
    args.query = reinterpret_cast<const uint16_t*>(q);
    args.states = reinterpret_cast<unsigned char* const*>(states);
    for (size_t f = 0; f < view.fields.size(); ++f)
      args.fields[f] = reinterpret_cast<unsigned char*>(view.fields[f].base);
    args.weights = weight_pointers_.data();
    args.page_scratch = page_scratch_.data();
    args.row_scratch = row_scratch_.data();
    args.team_scratch = team_scratch_.data();
    args.sort_scratch = sort_scratch_.data();
    return args;
  }

  const Plan& plan_;
  const CudaFlowLimits limits_;
  const cuda::Program program_;
  const int64_t state_bytes_;
  Launch update_, rows_, pages_, choose_, choose_few_, saved_;
  int64_t workspace_ = 0;  // floats
  cuda::DeviceArray<float> page_scratch_, row_scratch_, team_scratch_;
  cuda::DeviceArray<unsigned long long> sort_scratch_;
  std::vector<cuda::DeviceArray<uint16_t>> weights_;
  cuda::DeviceArray<const uint16_t*> weight_pointers_;
};

}  // namespace

std::string CudaFlow::source(const Plan& plan, const CudaFlowLimits& limits) { return write_source(plan, limits).text; }

Result<std::unique_ptr<CudaFlow>> CudaFlow::compile(const Plan& plan, const CudaFlowLimits& limits) {
  return cuda::guard([&]() -> Result<std::unique_ptr<CudaFlow>> {
    const FlowSource source = write_source(plan, limits);
    VORTEX_ASSIGN_OR_RETURN(const std::string code,
                            cuda::cached_machine_code(source.text, cuda::device_architecture()));
    return std::unique_ptr<CudaFlow>(std::make_unique<CompiledCudaFlow>(plan, limits, source, code));
  });
}

}  // namespace vortex::flow

#include "engine/rank_options.h"

#include "base/log.h"
#include "engine/engine_core.h"
#include "model/message.h"

namespace vortex {
namespace {

/// Every option that decides what a rank computes; `field` reads or writes one.
template <typename Options, typename Field>
void each_option(Options& o, const Field& field) {
  field(o.model);
  field(o.device);
  field(o.dtype);
  field(o.kv_cache_dtype);
  field(o.quantize);
  field(o.load_format);
  field(o.threads);
  field(o.max_model_len);
  field(o.max_num_seqs);
  field(o.max_num_batched_tokens);
  field(o.kv_cache_memory_bytes);
  field(o.gpu_memory_utilization);
  field(o.page_size);
  field(o.seed);
  field(o.compressor_ckpt);
}

struct WriteOption {
  model::MessageWriter* to;
  void operator()(const std::string& text) const { to->text(text); }
  template <typename T>
  void operator()(const T& value) const {
    to->value(value);
  }
};

struct ReadOption {
  model::MessageReader* from;
  void operator()(std::string& text) const { text = from->text(); }
  template <typename T>
  void operator()(T& value) const {
    value = from->value<T>();
  }
};

Result<EngineOptions> receive_options(comm::Communicator& ranks) {
  std::vector<std::byte> message;
  VORTEX_RETURN_IF_ERROR(ranks.broadcast(&message));
  model::MessageReader reader(message);
  EngineOptions options;
  each_option(options, ReadOption{&reader});
  const std::string vortex = reader.text();
  if (reader.failed()) return Error{ErrorCode::kDataLoss, "rank 0", "its message holds no options", ""};
  if (!vortex.empty()) {
    VORTEX_ASSIGN_OR_RETURN(options.vortex, parse_vortex_config(vortex, "rank 0"));
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<comm::Group>> join_ranks(const EngineOptions& options) {
  VORTEX_ASSIGN_OR_RETURN(auto group, comm::join({options.tensor_parallel_size, options.rank_command}));
  comm::Communicator& ranks = group->communicator();
  if (ranks.rank() != 0)
    return Error{ErrorCode::kConfiguration, fmt::format("rank {}", ranks.rank()),
                 "it was started as a rank, but this program runs an engine of its own",
                 "start `vortex serve` or `vortex run` this way"};
  if (ranks.size() == 1) return group;
  model::MessageWriter writer;
  each_option(options, WriteOption{&writer});
  writer.text(options.vortex ? to_json(*options.vortex) : "");
  VORTEX_RETURN_IF_ERROR(ranks.broadcast(&writer.bytes()));
  log_info("{} ranks of {} threads each, through {}", ranks.size(), group->threads(), group->transport());
  return group;
}

Status run_rank() {
  VORTEX_ASSIGN_OR_RETURN(const auto group, comm::join({}));
  VORTEX_ASSIGN_OR_RETURN(const EngineOptions options, receive_options(group->communicator()));
  VORTEX_RETURN_IF_ERROR(validate(options));
  VORTEX_ASSIGN_OR_RETURN(auto files, open_model(options));
  VORTEX_ASSIGN_OR_RETURN(const auto core, EngineCore::create(options, std::move(files), nullptr, {}, group.get()));
  return core->follow();
}

}  // namespace vortex

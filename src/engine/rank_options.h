// How the other ranks of an engine come to have its options, and what they do.
#pragma once

#include "base/result.h"
#include "comm/launch.h"
#include "engine/options.h"

namespace vortex {

/// Joins the ranks that `options` asks for and, as rank 0, tells them the options. A group of one when it is alone.
Result<std::unique_ptr<comm::Group>> join_ranks(const EngineOptions& options);

/// The whole life of any other rank: loads its share of the model that rank 0 names and computes what rank 0 launches,
/// until it leaves. A program calls this first where comm::rank_of_environment() is not 0.
Status run_rank();

}  // namespace vortex

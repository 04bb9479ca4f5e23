// From what a user calls a model to a path that a loader opens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/hub/settings.h"

namespace vortex {

struct ResolveOptions {
  bool offline = false;  // as HF_HUB_OFFLINE: only what is on this machine
  bool refresh = false;  // ask the hub even when the cache holds the model (`vortex pull`)
  std::function<void(const std::string& file, int64_t done, int64_t total)> progress;  // may be empty
};

/// Path of a folder with config.json or of a `.gguf` (the first part of a split). `spec` is, in this order:
///   1. an explicit path: begins with "/", "./", "../" or "~/", or ends in ".gguf";
///   2. a catalogue name ("recall-gqa", "smollm2"), fetched when it is not here; so a folder of the same name in the
///      working directory is reached as "./recall-gqa";
///   3. any other existing path: a folder with config.json, or one that holds exactly one GGUF;
///   4. org/name[@revision][:QUANT]: the Hugging Face cache when it holds the whole of it, else the hub.
/// Errors: kNotFound with the nearest name, kUnavailable (offline, network, access), kDataLoss (checksum), ...
Result<std::string> resolve_model(const std::string& spec, const ResolveOptions& options);
Result<std::string> resolve_model(const std::string& spec, const ResolveOptions& options,
                                  const hub::HubSettings& settings);

struct LocalModel {
  std::string name;  // a spec that resolve_model() takes
  std::string path;
  int64_t bytes = 0;
  std::string source;  // "shipped", "catalogue" or "hub"
};

/// The models on this machine that load without a network: catalogue first, then the Hugging Face cache.
Result<std::vector<LocalModel>> list_local_models();
std::vector<LocalModel> list_local_models(const hub::HubSettings& settings);

}  // namespace vortex

// EngineHandle: an engine as Python holds it. It can be closed, and it knows the process that it lives in.
#pragma once

#include <unistd.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grammar/grammar.h"
#include "native/module.h"
#include "vortex/engine.h"

namespace vortex::python {

/// Where an engine lives: a child of fork() has its memory, but not its thread.
class HomeProcess {
 public:
  bool here() const { return process_ == getpid(); }
  /// Raises in a child of fork().
  void require() const;

 private:
  pid_t process_ = getpid();
};

struct EngineRequest {
  std::string model;                                          // as resolve_model() takes it
  std::vector<std::pair<std::string, std::string>> settings;  // name or alias, and text
  std::optional<std::string> vortex_json;                     // absent: dense
  bool offline = false;
  std::vector<std::string> rank_command;  // how the other ranks start (EngineOptions)
};

/// Options of what is asked for: the environment below the settings; the model found, and fetched when need be. The log
/// is set up as they say.
Result<EngineOptions> read_options(const EngineRequest& request);

/// The GIL guards its members; what runs long gives it up.
class EngineHandle {
 public:
  /// Finds the model, fetching it when need be, and loads it.
  explicit EngineHandle(const EngineRequest& request);
  ~EngineHandle();
  EngineHandle(const EngineHandle&) = delete;
  EngineHandle& operator=(const EngineHandle&) = delete;

  /// Stays alive while the caller holds it, closed or not. Raises when it was closed, or in a child of fork().
  std::shared_ptr<Engine> engine() const;
  const std::string& path() const { return path_; }
  const std::optional<VortexConfig>& vortex() const { return vortex_; }

  /// Thread-safe and without the GIL. kUnsupported without a tokenizer.
  Result<std::shared_ptr<const grammar::CompiledGrammar>> compile(const Engine& engine,
                                                                  const grammar::GrammarSource& source);

  /// Ends what runs and joins the engine's thread; those who wait hear of it. Twice is once.
  void close();

 private:
  std::shared_ptr<Engine> engine_;
  std::string path_;
  std::optional<VortexConfig> vortex_;
  const HomeProcess home_;
  std::once_flag compiler_made_;
  std::unique_ptr<grammar::GrammarCompiler> compiler_;
};

}  // namespace vortex::python

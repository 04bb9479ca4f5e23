#include "native/engine_handle.h"

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "base/log.h"
#include "base/log_settings.h"
#include "loader/hub/resolve.h"

namespace vortex::python {
namespace {

Result<Settings> read_settings(const EngineRequest& request) {
  Settings settings;
  VORTEX_RETURN_IF_ERROR(settings.read_environment([](const char* name) -> const char* { return std::getenv(name); }));
  for (const auto& [name, text] : request.settings)
    VORTEX_RETURN_IF_ERROR(settings.set(name, text, SettingSource::kFlag, name));
  return settings;
}

/// A line for each file that is fetched.
auto tell_downloads() {
  return [told = std::string()](const std::string& file, int64_t, int64_t total) mutable {
    if (file != told) log_info("fetching {}, {:.1f} MB", file, static_cast<double>(total) * 1e-6);
    told = file;
  };
}

/// Messages speak of flags; here they are keywords: --page-size is page_size.
std::string with_keywords(const std::string& text) {
  static const std::regex kFlag("--([a-z]+(-[a-z]+)*)");
  std::string out;
  auto rest = text.begin();
  for (std::sregex_iterator flag(text.begin(), text.end(), kFlag), end; flag != end; ++flag) {
    out.append(rest, text.begin() + flag->position());
    std::string name = flag->str(1);
    std::ranges::replace(name, '-', '_');
    out += name;
    rest = text.begin() + flag->position() + flag->length();
  }
  return out.append(rest, text.end());
}

Error with_keywords(const Error& error) {
  return {error.code, with_keywords(error.where), with_keywords(error.message), with_keywords(error.hint)};
}

}  // namespace

Result<EngineOptions> read_options(const EngineRequest& request) {
  VORTEX_ASSIGN_OR_RETURN(const Settings settings, read_settings(request));
  configure_log_from(settings);
  VORTEX_ASSIGN_OR_RETURN(EngineOptions options, engine_options(settings));
  if (request.vortex_json) {
    VORTEX_ASSIGN_OR_RETURN(options.vortex, parse_vortex_config(*request.vortex_json, "vortex"));
  }
  const ResolveOptions resolve{.offline = request.offline, .progress = tell_downloads()};
  VORTEX_ASSIGN_OR_RETURN(options.model, resolve_model(request.model, resolve));
  return options;
}

void HomeProcess::require() const {
  if (here()) return;
  raise({ErrorCode::kUnsupported, "engine", "it belongs to the process that forked this one",
         "make an engine here, or start processes with 'spawn'"});
}

EngineHandle::EngineHandle(const EngineRequest& request) {
  EngineOptions options;
  auto made = without_gil([&]() -> Result<std::unique_ptr<Engine>> {
    VORTEX_ASSIGN_OR_RETURN(options, read_options(request));
    options.rank_command = request.rank_command;
    return Engine::create(options);
  });
  if (!made.ok()) raise(with_keywords(made.error()));
  engine_ = std::move(*made);
  path_ = options.model;
  vortex_ = options.vortex;
}

EngineHandle::~EngineHandle() { close(); }

std::shared_ptr<Engine> EngineHandle::engine() const {
  home_.require();
  if (engine_ == nullptr) raise({ErrorCode::kInvalidArgument, "engine", "it was shut down", "make a new one"});
  return engine_;
}

Result<std::shared_ptr<const grammar::CompiledGrammar>> EngineHandle::compile(const Engine& engine,
                                                                              const grammar::GrammarSource& source) {
  if (engine.codec() == nullptr)
    return Error{ErrorCode::kUnsupported, "grammar", "the model has no tokenizer", "ask without one"};
  std::call_once(compiler_made_, [&] {
    compiler_ = std::make_unique<grammar::GrammarCompiler>(engine.codec()->tokenizer(), engine.end_ids(),
                                                           engine.info().config.vocab_size);
  });
  return compiler_->compile(source);
}

void EngineHandle::close() {
  std::shared_ptr<Engine> last = std::move(engine_);
  if (last == nullptr) return;
  if (!home_.here()) {
    // Nothing could be joined: the copy is left as it is.
    new std::shared_ptr<Engine>(std::move(last));
    return;
  }
  without_gil([&] { last.reset(); });
}

}  // namespace vortex::python

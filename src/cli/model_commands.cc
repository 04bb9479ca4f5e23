// pull, list, inspect: the models on this machine.
#include <fmt/core.h>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/download_bars.h"
#include "cli/report.h"
#include "loader/hub/resolve.h"
#include "loader/model_files.h"
#include "model/kv_fields.h"

namespace vortex::cli {
namespace {

std::string size_text(int64_t bytes) { return internal::amount(static_cast<double>(bytes), "B"); }

class PullCommand final : public Command {
 public:
  std::string_view name() const override { return "pull"; }
  std::string_view summary() const override { return "Fetch a model"; }
  void add_options(CLI::App& app) override {
    app.add_option("name", name_, "A catalogue name or org/name[@revision][:QUANT]")->required();
    app.add_flag("--quiet,-q", quiet_, "No progress on stderr");
  }

  Status run(const Settings&) override {
    ResolveOptions options;
    options.refresh = true;
    DownloadBars bars(quiet_);
    options.progress = bars.callback();
    VORTEX_ASSIGN_OR_RETURN(const std::string path, resolve_model(name_, options));
    fmt::print("{}\n", path);
    return {};
  }

 private:
  std::string name_;
  bool quiet_ = false;
};

class ListCommand final : public Command {
 public:
  std::string_view name() const override { return "list"; }
  std::string_view summary() const override { return "Models on this machine"; }
  void add_options(CLI::App& app) override { app.add_flag("--json", json_, "Print a JSON list"); }

  Status run(const Settings&) override {
    VORTEX_ASSIGN_OR_RETURN(const auto models, list_local_models());
    Json list = Json::array();
    for (const LocalModel& m : models) {
      if (json_) {
        list.push_back({{"name", m.name}, {"path", m.path}, {"bytes", m.bytes}, {"source", m.source}});
      } else {
        fmt::print("{:<32}{:>12}  {:<10}{}\n", m.name, size_text(m.bytes), m.source, m.path);
      }
    }
    if (json_) print_json(list);
    return {};
  }

 private:
  bool json_ = false;
};

class InspectCommand final : public Command {
 public:
  std::string_view name() const override { return "inspect"; }
  std::string_view summary() const override { return "What a model file or folder holds"; }
  void add_options(CLI::App& app) override {
    app.add_option("model", model_, "A folder, a .gguf or a model's name")->required();
    app.add_flag("--tensors,-t", tensors_, "List every tensor");
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings&) override {
    ResolveOptions offline;
    offline.offline = true;
    VORTEX_ASSIGN_OR_RETURN(const std::string path, resolve_model(model_, offline));
    VORTEX_ASSIGN_OR_RETURN(const auto files, ModelFiles::open(path));
    const Json report = describe(*files);
    if (json_) {
      print_json(report);
    } else {
      print_lines(report);
    }
    return {};
  }

 private:
  Json describe(const ModelFiles& files) const {
    const ModelConfig& c = files.config();
    const ModelDescription d = files.describe();
    Json metadata = Json::object(), tensors = Json::array();
    for (const auto& [key, value] : d.metadata) metadata[key] = value;
    for (const TensorSummary& t : d.tensors)
      tensors.push_back(
          {{"name", t.name}, {"dtype", dtype_info(t.dtype).name}, {"shape", t.shape.to_string()}, {"bytes", t.bytes}});
    return {{"path", files.path()},
            {"format", d.format},
            {"architecture", c.architecture},
            {"parameters", d.parameters},
            {"file_bytes", d.file_bytes},
            {"layers", c.layers},
            {"hidden_size", c.hidden_size},
            {"intermediate_size", c.intermediate_size},
            {"heads", c.heads},
            {"kv_heads", c.kv_heads},
            {"head_dim", c.head_dim},
            {"vocab_size", c.vocab_size},
            {"context", c.max_position_embeddings},
            {"dtype", dtype_info(c.stored_dtype).name},
            {"experts", c.moe.experts},
            {"experts_per_token", c.moe.experts_per_token},
            {"sliding_window", c.sliding_window},
            {"latent_rank", c.mla.kv_lora_rank},
            {"kv_bytes_per_token", model::kv_bytes_per_token(c, DType::kBF16)},
            {"chat_template", files.chat_template().has_value()},
            {"metadata", metadata},
            {"tensors", tensors}};
  }

  void print_lines(const Json& report) const {
    for (const auto& [key, value] : report.items()) {
      if (key == "metadata" || key == "tensors") continue;
      fmt::print("{:<20}{}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
    for (const auto& [key, value] : report["metadata"].items()) fmt::print("{:<44}{}\n", key, value.get<std::string>());
    fmt::print("{:<20}{}{}\n", "tensors", report["tensors"].size(), tensors_ ? "" : " (--tensors lists them)");
    if (!tensors_) return;
    for (const Json& t : report["tensors"])
      fmt::print("  {:<48}{:<10}{:<18}{}\n", t["name"].get<std::string>(), t["dtype"].get<std::string>(),
                 t["shape"].get<std::string>(), size_text(t["bytes"]));
  }

  std::string model_;
  bool tensors_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_pull_command() { return std::make_unique<PullCommand>(); }
std::unique_ptr<Command> make_list_command() { return std::make_unique<ListCommand>(); }
std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace vortex::cli

// Section "eval" of vortex._native: evaluations and benchmarks. Results are the JSON of docs/json.md.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/selection_controls.h"
#include "eval/fidelity_text.h"
#include "eval/latency.h"
#include "eval/recall.h"
#include "eval/report_json.h"
#include "native/engine_handle.h"
#include "native/module.h"

namespace vortex::python {
namespace {
namespace nb = nanobind;
using namespace nb::literals;

using SettingList = std::vector<std::pair<std::string, std::string>>;

/// Python's say in work that runs without the GIL: whether Ctrl-C was pressed, and the caller's progress function.
class Watch {
 public:
  explicit Watch(nb::object progress) : progress_(std::move(progress)) {}

  void set_total(int64_t total) { total_ = total; }

  /// False: Python raised, and the work should stop.
  bool go_on(int64_t done) {
    const nb::gil_scoped_acquire held;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!progress_.is_none() && done != told_) progress_(told_ = done, total_);
      return true;
    } catch (nb::python_error& error) {
      raised_.emplace(std::move(error));
      return false;
    }
  }

  /// What `work` gives without the GIL; what Python raised comes before the error of being stopped.
  template <class Work>
  auto run(Work&& work) {
    auto result = without_gil(std::forward<Work>(work));
    if (raised_) throw nb::python_error(std::move(*raised_));
    return unwrap(std::move(result));
  }

 private:
  nb::object progress_;
  int64_t total_ = 0, told_ = -1;
  std::optional<nb::python_error> raised_;
};

eval::VariantLists variant_lists(std::vector<std::string> flows, const std::vector<std::string>& configs,
                                 std::vector<int64_t> topk, std::vector<double> ratios,
                                 std::vector<int64_t> block_sizes, std::vector<int64_t> layers_skip) {
  eval::VariantLists lists{.flows = std::move(flows),
                           .topk = std::move(topk),
                           .ratios = std::move(ratios),
                           .block_sizes = std::move(block_sizes),
                           .layers_skip = std::move(layers_skip)};
  for (const std::string& json : configs)
    if (auto config = unwrap(parse_vortex_config(json, "configs"))) lists.configs.push_back(*std::move(config));
  return lists;
}

/// The model, and the lab in which its variants decode.
struct Bench {
  std::vector<eval::EvalVariant> variants;
  std::unique_ptr<FlowLab> lab;
};

Result<Bench> open_bench(const EngineRequest& request, std::vector<eval::EvalVariant> variants) {
  Bench bench{.variants = std::move(variants)};
  VORTEX_ASSIGN_OR_RETURN(const EngineOptions options, read_options(request));
  VORTEX_ASSIGN_OR_RETURN(bench.lab, FlowLab::create(options, eval::lab_variants(bench.variants)));
  return bench;
}

/// The report, and of each variant: the series that it belongs to in a plot, and whether it is a control.
using Report = std::pair<std::string, std::vector<std::pair<std::string, bool>>>;

Report make_report(const eval::Json& json, const std::vector<eval::EvalVariant>& variants) {
  Report report{json.dump(), {}};
  for (const eval::EvalVariant& variant : variants) {
    const bool control = variant.lab.config && is_control(variant.lab.config->module_name.value_or(""));
    report.second.emplace_back(variant.series, control);
  }
  return report;
}

Report run_recall(const std::string& model, const SettingList& settings, bool offline, const std::string& data,
                  const eval::RecallFilter& filter, const eval::VariantLists& lists, nb::object progress) {
  Watch watch(std::move(progress));
  return watch.run([&]() -> Result<Report> {
    VORTEX_ASSIGN_OR_RETURN(std::vector<eval::RecallRow> rows, eval::read_recall_data(data));
    VORTEX_ASSIGN_OR_RETURN(rows, eval::choose_rows(std::move(rows), filter, data));
    VORTEX_ASSIGN_OR_RETURN(auto variants, eval::make_variants(lists));
    VORTEX_ASSIGN_OR_RETURN(const Bench bench, open_bench({model, settings, {}, offline}, std::move(variants)));
    watch.set_total(static_cast<int64_t>(rows.size() * bench.variants.size()));
    VORTEX_ASSIGN_OR_RETURN(const auto tallies,
                            eval::ask_recall(*bench.lab, rows, [&](int64_t done) { return watch.go_on(done); }));
    return make_report(eval::recall_json(*bench.lab, bench.variants, tallies, model), bench.variants);
  });
}

Report run_fidelity(const SettingList& settings, bool offline, const std::string& text,
                    const eval::FidelityInput& input, const eval::VariantLists& lists, nb::object progress) {
  Watch watch(std::move(progress));
  return watch.run([&]() -> Result<Report> {
    VORTEX_ASSIGN_OR_RETURN(auto variants, eval::make_variants(lists));
    VORTEX_ASSIGN_OR_RETURN(const Bench bench, open_bench({input.model, settings, {}, offline},
                                                          eval::with_dense_first(std::move(variants))));
    VORTEX_ASSIGN_OR_RETURN(const auto tokens, eval::first_tokens(*bench.lab, text, input.tokens, input.text));
    watch.set_total(input.tokens + (static_cast<int64_t>(bench.variants.size()) - 1) * input.tail);
    VORTEX_ASSIGN_OR_RETURN(
        const std::vector<Fidelity> results,
        measure_fidelity(*bench.lab, tokens, input.tail, [&](int64_t done) { return watch.go_on(done); }));
    return make_report(eval::fidelity_json(*bench.lab, bench.variants, results, input), bench.variants);
  });
}

std::string run_latency(const EngineHandle& handle, const eval::LatencyTask& task) {
  Watch watch{nb::none()};
  const auto engine = handle.engine();
  const eval::Latency latency =
      watch.run([&] { return eval::measure_latency(*engine, task, [&] { return watch.go_on(0); }); });
  return eval::latency_json(latency, engine->info()).dump();
}

}  // namespace

void add_eval(nb::module_& m) {
  nb::class_<eval::VariantLists>(m, "Variants")
      .def(
          "__init__",
          [](eval::VariantLists* self, std::vector<std::string> flows, const std::vector<std::string>& configs,
             std::vector<int64_t> topk, std::vector<double> ratios, std::vector<int64_t> block_sizes,
             std::vector<int64_t> layers_skip) {
            new (self) eval::VariantLists(variant_lists(std::move(flows), configs, std::move(topk), std::move(ratios),
                                                        std::move(block_sizes), std::move(layers_skip)));
          },
          "flows"_a, "configs"_a, "topk"_a, "ratios"_a, "block_sizes"_a, "layers_skip"_a);
  m.def(
      "run_recall",
      [](const std::string& model, const SettingList& settings, bool offline, const std::string& data,
         std::vector<std::string> tasks, std::vector<int64_t> lengths, int64_t limit,
         const eval::VariantLists& variants, nb::object progress) {
        return run_recall(model, settings, offline, data, {std::move(tasks), std::move(lengths), limit}, variants,
                          std::move(progress));
      },
      "model"_a, "settings"_a, "offline"_a, "data"_a, "tasks"_a, "lengths"_a, "limit"_a, "variants"_a,
      "progress"_a.none());
  m.def(
      "run_fidelity",
      [](const std::string& model, const SettingList& settings, bool offline, const std::string& text,
         const std::string& text_name, int64_t tokens, int64_t tail, const eval::VariantLists& variants,
         nb::object progress) {
        return run_fidelity(settings, offline, text, {model, text_name, tokens, tail}, variants, std::move(progress));
      },
      "model"_a, "settings"_a, "offline"_a, "text"_a, "text_name"_a, "tokens"_a, "tail"_a, "variants"_a,
      "progress"_a.none());
  m.def(
      "run_latency",
      [](const EngineHandle& engine, int64_t input_len, int64_t output_len, int64_t batch, bool synthetic_context) {
        return run_latency(engine, {input_len, output_len, batch, synthetic_context});
      },
      "engine"_a, "input_len"_a, "output_len"_a, "batch"_a, "synthetic_context"_a);
}

}  // namespace vortex::python

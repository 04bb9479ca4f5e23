// The engine for Python. Nothing here runs on the engine's own thread, and that thread never asks for the GIL.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/settings.h"
#include "engine/rank_options.h"
#include "loader/json.h"
#include "native/arrays.h"
#include "native/engine_stream.h"
#include "native/engine_values.h"
#include "native/module.h"
#include "native/selections.h"

namespace vortex::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

using TokenArray = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<int32_t> to_vector(const TokenArray& ids) { return {ids.data(), ids.data() + ids.size()}; }

/// What EngineHandle takes, by its names with underscores: the settings of `vortex run`, and their aliases.
std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  const auto add = [&](std::string_view name) {
    names.emplace_back(name);
    std::ranges::replace(names.back(), '-', '_');
  };
  for (const SettingSpec& spec : settings_table()) {
    if ((spec.commands & kRunCommand) == 0) continue;
    add(spec.name);
    for (const SettingAlias& alias : spec.aliases) add(alias.name);
  }
  return names;
}

const TextCodec& codec_of(const Engine& engine) {
  if (engine.codec() == nullptr)
    raise({ErrorCode::kUnsupported, "tokenizer", "the model has none", "give token ids as input_ids"});
  return *engine.codec();
}

auto encode(const EngineHandle& handle, const std::string& text) {
  const auto engine = handle.engine();
  const TextCodec& codec = codec_of(*engine);
  return to_array(without_gil([&] { return codec.encode(text); }));
}

std::string decode(const EngineHandle& handle, const TokenArray& ids, bool skip_special_tokens) {
  const auto engine = handle.engine();
  const text::Tokenizer& tokenizer = codec_of(*engine).tokenizer();
  const std::span<const int32_t> view(ids.data(), ids.size());
  return without_gil([&] { return tokenizer.decode(view, skip_special_tokens); });
}

/// The order of keys is the caller's, as templates may show it.
Result<nlohmann::ordered_json> parse_conversation(const std::string& text) {
  const auto checked = parse_json(text, "messages");
  if (!checked.ok()) return Error{ErrorCode::kInvalidArgument, "messages", checked.error().message, ""};
  return nlohmann::ordered_json::parse(text);
}

auto encode_chat(const EngineHandle& handle, const std::string& inputs_json) {
  const auto engine = handle.engine();
  const TextCodec& codec = codec_of(*engine);
  return to_array(unwrap(without_gil([&]() -> Result<std::vector<int32_t>> {
    VORTEX_ASSIGN_OR_RETURN(auto inputs, parse_conversation(inputs_json));
    return codec.encode_chat(std::move(inputs));
  })));
}

grammar::GrammarSource::Kind grammar_kind(std::string_view name) {
  using Kind = grammar::GrammarSource::Kind;
  if (name == "json_schema") return Kind::kJsonSchema;
  if (name == "regex") return Kind::kRegex;
  if (name == "ebnf") return Kind::kGbnf;
  raise({ErrorCode::kInvalidArgument, "grammar", "unknown kind", "give json_schema, regex or ebnf"});
}

Grammar compile_grammar(EngineHandle& handle, std::string_view kind, const std::string& text) {
  const auto engine = handle.engine();
  const grammar::GrammarSource source{grammar_kind(kind), text, {}};
  return {unwrap(without_gil([&] { return handle.compile(*engine, source); }))};
}

std::unique_ptr<Stream> submit(const EngineHandle& handle, const std::vector<const Prompt*>& prompts, bool streaming) {
  return std::make_unique<Stream>(handle.engine(), prompts, streaming);
}

void add_sampling(nb::module_& m) {
  using Params = sample::SamplingParams;
  nb::class_<Params>(m, "Sampling")
      .def_rw("temperature", &Params::temperature)
      .def_rw("top_k", &Params::top_k)
      .def_rw("top_p", &Params::top_p)
      .def_rw("min_p", &Params::min_p)
      .def_rw("repetition_penalty", &Params::repetition_penalty)
      .def_rw("presence_penalty", &Params::presence_penalty)
      .def_rw("frequency_penalty", &Params::frequency_penalty)
      .def_rw("logit_bias", &Params::logit_bias)
      .def_rw("seed", &Params::seed, nb::arg().none())
      .def_rw("max_tokens", &Params::max_tokens)
      .def_rw("min_tokens", &Params::min_tokens)
      .def_rw("ignore_eos", &Params::ignore_eos)
      .def_rw("stop", &Params::stop)
      .def_rw("stop_token_ids", &Params::stop_token_ids)
      .def_rw("include_stop_str_in_output", &Params::include_stop_str_in_output)
      .def_rw("skip_special_tokens", &Params::skip_special_tokens)
      .def_rw("logprobs", &Params::logprobs)
      .def_rw("prompt_logprobs", &Params::prompt_logprobs);
}

void add_prompt(nb::module_& m) {
  nb::class_<Grammar>(m, "Grammar");
  nb::class_<Prompt>(m, "Prompt")
      .def(
          "__init__",
          [](Prompt* self, const TokenArray& ids, const sample::SamplingParams& sampling, int n) {
            new (self) Prompt{{.prompt = to_vector(ids), .sampling = sampling, .n = n}};
          },
          "ids"_a.noconvert(), "sampling"_a, "n"_a = 1)
      .def("set_sparsity",
           [](Prompt& self, std::optional<int64_t> topk_val, std::optional<double> topk_ratio, bool dense) {
             self.request.sparsity = {topk_val, topk_ratio, dense};
           })
      .def("record_selections",
           [](Prompt& self) {
             self.request.selections = std::make_shared<SelectionRecord>();
             return Selections{self.request.selections};
           })
      .def("set_grammar", [](Prompt& self, const Grammar& grammar) { self.request.grammar = grammar.compiled; });
}

void add_answers(nb::module_& m) {
  nb::class_<Completion>(m, "Completion")
      .def_ro("text", &Completion::text)
      .def_prop_ro(
          "tokens", [](const Completion& c) { return to_array(c.tokens); }, nb::rv_policy::move)
      .def_prop_ro("finish_reason", [](const Completion& c) { return finish_reason_name(c.finish_reason); })
      .def_prop_ro("stop_reason", &stop_reason)
      .def_prop_ro("logprobs", [](const Completion& c) { return logprobs_list(c.logprobs); })
      .def_prop_ro("prompt_logprobs", [](const Completion& c) { return logprobs_list(c.prompt_logprobs); })
      .def_prop_ro("prompt_tokens", [](const Completion& c) { return c.usage.prompt_tokens; })
      .def_prop_ro("completion_tokens", [](const Completion& c) { return c.usage.completion_tokens; })
      .def_prop_ro("cached_tokens", [](const Completion& c) { return c.usage.cached_tokens; })
      .def_prop_ro("timings", &timings_dict)
      .def_prop_ro(
          "intervals", [](const Completion& c) { return to_array(c.timings.intervals_s); }, nb::rv_policy::move)
      .def_prop_ro("sparsity", [](const Completion& c) { return sparsity_object(c.sparsity); });
  nb::class_<AnswerEvent>(m, "AnswerEvent")
      .def_ro("answer", &AnswerEvent::answer)
      .def_ro("text", &AnswerEvent::text)
      .def_prop_ro(
          "tokens", [](const AnswerEvent& e) { return to_array(e.tokens); }, nb::rv_policy::move)
      .def_prop_ro("logprobs", [](const AnswerEvent& e) { return logprobs_list(e.logprobs); })
      .def_ro("completion", &AnswerEvent::completion);
}

void add_stream(nb::module_& m) {
  nb::class_<Stream>(m, "Stream")
      .def("wait", &Stream::wait)
      .def("poll", &Stream::poll)
      .def("cancel", &Stream::cancel)
      .def("fileno", &Stream::descriptor)
      .def_prop_ro("finished", &Stream::finished)
      .def_prop_ro("ids", &Stream::ids);
}

void add_handle(nb::module_& m) {
  nb::class_<EngineHandle>(m, "Engine")
      .def(
          "__init__",
          [](EngineHandle* self, std::string model, std::vector<std::pair<std::string, std::string>> settings,
             std::optional<std::string> vortex_json, bool offline, std::vector<std::string> rank_command) {
            new (self) EngineHandle(
                {std::move(model), std::move(settings), std::move(vortex_json), offline, std::move(rank_command)});
          },
          "model"_a, "settings"_a, "vortex_json"_a.none(), "offline"_a, "rank_command"_a)
      .def_prop_ro("info", [](const EngineHandle& h) { return info_dict(h, *h.engine()); })
      .def_prop_ro("stats", [](const EngineHandle& h) { return stats_dict(h.engine()->stats()); })
      .def_prop_ro("default_sampling", [](const EngineHandle& h) { return h.engine()->default_sampling(); })
      .def("encode", &encode, "text"_a)
      .def("decode", &decode, "ids"_a.noconvert(), "skip_special_tokens"_a)
      .def("encode_chat", &encode_chat, "inputs_json"_a)
      .def("compile_grammar", &compile_grammar, "kind"_a, "text"_a)
      .def("submit", &submit, "prompts"_a, "streaming"_a)
      .def("close", &EngineHandle::close);
}

}  // namespace

void add_engine(nb::module_& m) {
  m.def("setting_names", &setting_names);
  m.def("run_rank", [] {
    const Status status = without_gil([] { return run_rank(); });
    if (!status.ok()) raise(status.error());
  });
  add_sampling(m);
  add_selections(m);
  add_prompt(m);
  add_answers(m);
  add_stream(m);
  add_handle(m);
}

}  // namespace vortex::python

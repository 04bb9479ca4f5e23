#include "text/chat_template.h"

#include <fmt/core.h>

#include "text/jinja/fault.h"
#include "text/jinja/import_json.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/utf8.h"

namespace vortex::text {
namespace {

Error to_error(jinja::Fault fault, int line) {
  if (fault.line > 0) line = fault.line;
  std::string where = line > 0 ? fmt::format("chat_template:{}", line) : "chat_template";
  return Error{fault.code, std::move(where), std::move(fault.message), std::move(fault.hint)};
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Block body;
};

Result<ChatTemplate> ChatTemplate::compile(std::string source) {
  if (!is_valid_utf8(source)) {
    return Error{ErrorCode::kInvalidArgument, "chat_template", "the template is not valid UTF-8", "store it as UTF-8"};
  }
  try {
    return ChatTemplate(std::make_shared<const Program>(Program{jinja::parse_template(source)}));
  } catch (jinja::Fault& fault) {
    return to_error(std::move(fault), 1);
  }
}

Result<RenderedPrompt> ChatTemplate::render(const nlohmann::ordered_json& inputs, const RenderCaps& caps) const {
  jinja::Runtime runtime(caps);
  try {
    const jinja::Dict variables = jinja::import_inputs(inputs);
    const jinja::MarkedString out = jinja::render(program_->body, variables, runtime);
    return RenderedPrompt{out.text(), out.marks()};
  } catch (jinja::Fault& fault) {
    return to_error(std::move(fault), runtime.line);
  }
}

}  // namespace vortex::text

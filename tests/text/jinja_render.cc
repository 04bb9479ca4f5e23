// Renders chat templates for jinja_differential_test.py: one JSON object a line in, {"template", "inputs", "now"};
// one a line out, {"text"} or {"error", "where"}.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "text/chat_template.h"

namespace {

std::time_t fixed_now = 0;

nlohmann::ordered_json rendered(const nlohmann::ordered_json& request) {
  fixed_now = request.value("now", std::time_t{0});
  vortex::text::RenderCaps caps;
  caps.now = [] { return fixed_now; };
  const auto compiled = vortex::text::ChatTemplate::compile(request.at("template").get<std::string>());
  if (!compiled.ok()) return {{"error", compiled.error().message}, {"where", compiled.error().where}};
  const auto prompt = compiled->render(request.at("inputs"), caps);
  if (!prompt.ok()) return {{"error", prompt.error().message}, {"where", prompt.error().where}};
  return {{"text", prompt->text}};
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << rendered(nlohmann::ordered_json::parse(line)).dump() << '\n';
  }
}

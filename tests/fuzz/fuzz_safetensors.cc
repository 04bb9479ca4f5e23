// safetensors bytes: parse and touch every tensor.
#include "fuzz/fuzz_target.h"
#include "loader/safetensors.h"
#include "loader/testing/model_images.h"

namespace vortex::fuzz {

std::string run_target(std::span<const std::byte> input) {
  const auto tensors = parse_safetensors(input, "x.safetensors");
  if (!tensors.ok()) return tensors.error().message;
  for (const NamedTensor& tensor : *tensors) touch({tensor.view.data, static_cast<size_t>(tensor.view.bytes())});
  return "parsed";
}

std::vector<std::string> seeds() {
  const char* empties = R"({"e":{"dtype":"F16","shape":[0,4],"data_offsets":[0,0]},)"
                        R"("s":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   )";
  return {testing::small_safetensors(), testing::safetensors_image(empties, "12345678"),
          testing::safetensors_image("{}", "")};
}

}  // namespace vortex::fuzz

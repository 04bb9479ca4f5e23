// All families; registry.cc lists them.
#pragma once

#include "loader/families/family.h"

namespace vortex::families {

extern const Family kDeepseekV2;
extern const Family kDeepseekV3;
extern const Family kGemma3;
extern const Family kGlm4Moe;
extern const Family kGlm4MoeLite;
extern const Family kGptOss;
extern const Family kLlama;
extern const Family kMinimaxM2;
extern const Family kMistral;
extern const Family kQwen2;
extern const Family kQwen3;
extern const Family kQwen3Moe;

}  // namespace vortex::families

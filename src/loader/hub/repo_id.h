// Names of models on the hub and of the files in them, checked before they become part of a path or URL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vortex::hub {

/// `org/name[@revision][:quant]`. The quant is a GGUF's tag ("Q4_K_M") or its whole file name.
struct RepoId {
  std::string name;               // "org/name"
  std::string revision = "main";  // branch, tag, "refs/pr/1" or 40 hexadecimal digits
  std::string quant;              // "" = the safetensors, or the only GGUF

  /// "models--org--name", the folder in the cache.
  std::string folder() const;
  /// As the user writes it.
  std::string to_string() const;
};

/// kInvalidArgument for what cannot be a name on the hub.
Result<RepoId> parse_repo_id(std::string_view text);

inline constexpr const char* kSafetensors = "model.safetensors";
inline constexpr const char* kSafetensorsIndex = "model.safetensors.index.json";

/// Whether weights in safetensors form, whole or sharded, are among `files`.
bool names_safetensors(const std::vector<std::string>& files);

/// 40 lower-case hexadecimal digits.
bool is_commit(std::string_view text);

/// Of 1-512 letters, digits and "._+-/ ", relative, with no empty, "." or ".." part.
bool is_safe_file_name(std::string_view name);

/// A GGUF in one file, or split: its parts in order. `files[0]` is what a loader opens.
struct GgufSet {
  std::vector<std::string> files;
};

/// Whole sets among `files`: vision projectors (mmproj) and importance matrices are none. Sorted by name.
std::vector<GgufSet> gguf_sets(const std::vector<std::string>& files);

/// The set of that quant (any case), or the only one when `quant` is empty. kNotFound says which there are;
/// kInvalidArgument when several match.
Result<GgufSet> choose_gguf(const std::vector<std::string>& files, const std::string& quant, const std::string& where);

}  // namespace vortex::hub

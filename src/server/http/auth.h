// Who may come in: API keys, compared in a time that tells nothing about them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vortex::server {

class KeyRing {
 public:
  enum class Holder { kNobody, kUser, kAdmin };
  struct Caller {
    Holder holder = Holder::kNobody;
    std::string tenant;  // 16 hexadecimal digits that stand for the key while this object lives
  };

  /// kConfiguration for a key that no header can carry: empty, or with blanks or control characters.
  static Result<KeyRing> create(const std::vector<std::string>& user_keys, const std::vector<std::string>& admin_keys);

  /// No key is asked of anyone.
  bool open() const { return keys_.empty(); }
  bool has_admin() const { return has_admin_; }
  /// Whose key the value of an Authorization header ("Bearer KEY") carries. Takes the same time for every wrong key.
  Caller identify(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  struct Key {
    Digest digest;
    Holder holder;
  };

  KeyRing() = default;
  Digest digest_of(std::string_view key) const;

  std::string salt_;
  std::vector<Key> keys_;
  bool has_admin_ = false;
};

}  // namespace vortex::server

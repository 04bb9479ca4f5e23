#include "server/http/auth.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <strings.h>

#include <algorithm>
namespace vortex::server {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// What follows "Bearer ", in any case; empty for every other scheme.
std::string_view bearer_key(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  const bool bearer =
      authorization.size() > kScheme.size() && strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) == 0;
  return bearer ? trimmed(authorization.substr(kScheme.size())) : std::string_view();
}

bool can_be_sent(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<KeyRing> KeyRing::create(const std::vector<std::string>& user_keys, const std::vector<std::string>& admin_keys) {
  KeyRing ring;
  ring.salt_.resize(32);
  const int random = RAND_bytes(reinterpret_cast<unsigned char*>(ring.salt_.data()), 32);
  VORTEX_CHECK(random == 1, "no random bytes");
  ring.has_admin_ = !admin_keys.empty();
  for (const Holder holder : {Holder::kUser, Holder::kAdmin}) {
    for (const std::string& key : holder == Holder::kUser ? user_keys : admin_keys) {
      if (!can_be_sent(key)) {
        return Error{ErrorCode::kConfiguration, holder == Holder::kUser ? "api-key" : "admin-api-key",
                     "a key is empty or has blanks, control characters or letters outside of ASCII",
                     "no client could send it: choose another"};
      }
      ring.keys_.push_back({ring.digest_of(key), holder});
    }
  }
  return ring;
}

// Salted: equal work for keys of equal length, and no digest that means anything outside of this process.
KeyRing::Digest KeyRing::digest_of(std::string_view key) const {
  const std::string salted = salt_ + std::string(key);
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest.data());
  return digest;
}

KeyRing::Caller KeyRing::identify(std::string_view authorization) const {
  const Digest presented = digest_of(bearer_key(authorization));
  Caller caller;
  for (const Key& key : keys_) {
    const bool same = CRYPTO_memcmp(key.digest.data(), presented.data(), presented.size()) == 0;
    if (same) caller.holder = std::max(caller.holder, key.holder);
  }
  if (caller.holder == Holder::kNobody) return caller;
  for (std::size_t i = 0; i < 8; ++i) caller.tenant += fmt::format("{:02x}", presented[i]);
  return caller;
}

}  // namespace vortex::server

#include "kv/index/block_hash.h"

#include <openssl/evp.h>

#include <memory>

#include "base/check.h"

namespace vortex::kv {
namespace {

/// One context for many short messages: making one costs more than hashing a slab.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { VORTEX_CHECK(context_ != nullptr); }

  BlockHash operator()(std::span<const uint8_t> head, std::span<const uint8_t> tail) {
    BlockHash out;
    const bool ok = EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(context_.get(), head.data(), head.size()) == 1 &&
                    EVP_DigestUpdate(context_.get(), tail.data(), tail.size()) == 1 &&
                    EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) == 1;
    VORTEX_CHECK(ok, "SHA-256 is not to be had");
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

template <class T>
std::span<const uint8_t> bytes_of(const T* data, size_t count) {
  return {reinterpret_cast<const uint8_t*>(data), count * sizeof(T)};
}

}  // namespace

void extend_block_hashes(std::string_view salt, std::span<const int32_t> tokens, int slab_tokens,
                         std::vector<BlockHash>* known) {
  const auto width = static_cast<size_t>(slab_tokens);
  const size_t whole = tokens.size() / width;
  if (known->size() >= whole) return;
  Sha256 sha256;
  BlockHash previous = known->empty() ? sha256(bytes_of(salt.data(), salt.size()), {}) : known->back();
  for (size_t i = known->size(); i < whole; ++i) {
    previous = sha256(previous, bytes_of(tokens.data() + i * width, width));
    known->push_back(previous);
  }
}

}  // namespace vortex::kv

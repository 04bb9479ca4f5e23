#include "comm/rank_variable.h"

#include <fmt/core.h>

#include <cstdio>

#include "comm/rank_error.h"

namespace vortex::comm {

std::string to_text(const RankPlace& place) {
  return fmt::format("{}/{} fd={} threads={} nonce={}", place.rank, place.size, place.fd, place.threads,
                     to_text(place.nonce));
}

Result<RankPlace> rank_place_of(const std::string& text) {
  RankPlace place;
  char nonce[33] = "";
  // Widths keep every number below what an int holds.
  const int found = std::sscanf(text.c_str(), "%4d/%4d fd=%7d threads=%5d nonce=%32s", &place.rank, &place.size,
                                &place.fd, &place.threads, nonce);
  const auto parsed = nonce_of(nonce);
  const bool sane = found == 5 && parsed && place.size >= 2 && place.size <= kMaxRanks && place.rank >= 1 &&
                    place.rank < place.size && place.fd >= 3 && place.threads >= 1;
  if (sane) place.nonce = *parsed;
  if (!sane || to_text(place) != text)
    return Error{ErrorCode::kConfiguration, kRankVariable, "does not name a rank",
                 "ranks are started by the program itself: remove the variable"};
  return place;
}

}  // namespace vortex::comm

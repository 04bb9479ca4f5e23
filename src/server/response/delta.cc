#include "server/response/delta.h"

#include <iterator>
#include <random>

namespace vortex::server {
namespace {

template <class T>
void move_to_end(std::vector<T>* from, std::vector<T>* to) {
  to->insert(to->end(), std::make_move_iterator(from->begin()), std::make_move_iterator(from->end()));
}

void append_call(ToolCallPiece next, std::vector<ToolCallPiece>* calls) {
  if (calls->empty() || calls->back().index != next.index) return calls->push_back(std::move(next));
  ToolCallPiece& last = calls->back();
  last.id += next.id;
  last.name += next.name;
  last.arguments += next.arguments;
}

}  // namespace

void append(Delta next, Delta* whole) {
  whole->content += next.content;
  whole->reasoning += next.reasoning;
  for (ToolCallPiece& call : next.calls) append_call(std::move(call), &whole->calls);
  move_to_end(&next.logprobs, &whole->logprobs);
  move_to_end(&next.tokens, &whole->tokens);
}

std::string new_call_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  static thread_local std::random_device random;
  std::uniform_int_distribution<size_t> pick(0, kLetters.size() - 1);
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kLetters[pick(random)];
  return id;
}

}  // namespace vortex::server

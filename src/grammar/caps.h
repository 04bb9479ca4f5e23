// What a grammar from a stranger may cost. Every cap fails closed: the grammar is refused, or the text that would go
// beyond it is not allowed; nothing is ever left unconstrained.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vortex::grammar {

struct Caps {
  // Refused with kInvalidArgument.
  size_t source_bytes = 256 << 10;  // of a schema, a pattern, a grammar, or all choices together
  int nesting = 64;                 // brackets and groups inside one another
  size_t object_members = 1024;     // of one object of a schema
  size_t schema_visits = 100'000;   // values of a schema read, each as often as it is merged
  size_t rules = 4'000;
  size_t states = 100'000;  // repetitions written out
  size_t edges = 1'000'000;

  // Bounds of matching: a text beyond them is not allowed.
  int stack_depth = 192;         // rules that wait for one another
  size_t live_stacks = 2'000;    // readings of the text so far, kept at once
  size_t step_work = 3'000'000;  // readings followed for one mask; a matcher that needs more is dead

  size_t runtime_bytes = 16 << 20;  // masks and steps remembered for one grammar; forgotten when full
  size_t cache_bytes = 128 << 20;   // compiled grammars kept, what they remember included
};

}  // namespace vortex::grammar

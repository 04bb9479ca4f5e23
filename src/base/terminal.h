// What a stream's terminal can show.
#pragma once

#include <cstdio>

namespace vortex {

bool is_terminal(std::FILE* stream);

/// Colours need a terminal and an environment without NO_COLOR.
bool wants_colour(std::FILE* stream);

/// Width of the terminal in characters: COLUMNS, else what the terminal says, else 80.
int terminal_columns(std::FILE* stream);

}  // namespace vortex

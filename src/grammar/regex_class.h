// Sets of characters in patterns.
#pragma once

#include "base/result.h"
#include "grammar/char_class.h"
#include "grammar/text_cursor.h"

namespace vortex::grammar {

/// A \ and what follows: one character, or a class such as \d. The cursor stands at the \.
Result<CharClass> escaped_class(TextCursor& cursor);

/// "[a-z]", "[^\s,]". The cursor stands at the [.
Result<CharClass> bracket_class(TextCursor& cursor);

}  // namespace vortex::grammar

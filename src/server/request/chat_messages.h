// Messages and tool lists as clients send them, made into what chat templates expect.
#pragma once

#include "server/request/json_text.h"

namespace vortex::server {

/// `messages`: a non-empty array of objects. Content becomes one text (parts joined by line breaks), the arguments of
/// tool calls become objects, and only keys that templates use are kept. 400 naming the message and key; 501 for
/// images, sound and files: nothing is ever fetched.
ApiResult<Json> read_messages(const Json& messages);

/// `tools`: an array of objects. Ok when each is a function with a name.
ApiStatus check_tools(const Json& tools);

/// `kwargs`: an object. Its keys must be among those that a request may set, its values plain.
ApiStatus check_template_kwargs(const Json& kwargs);

}  // namespace vortex::server

// Schemas that hold together: $ref, and allOf.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/caps.h"
#include "grammar/schema_keywords.h"

namespace vortex::grammar {

class SchemaMerger {
 public:
  /// Both must outlive it.
  SchemaMerger(const Schema& document, const Caps& caps) : document_(document), caps_(caps) {}

  /// What a $ref names: "#", or "#/" and a JSON pointer. kInvalidArgument when nothing is there.
  Result<const Schema*> resolve(const Schema& reference, std::string_view path) const;

  /// The schema with its allOf and $ref taken into it, at its top.
  Result<Schema> flat(const Schema& schema, std::string_view path);

  /// What both ask for. kInvalidArgument where that is no plain schema.
  Result<Schema> both(const Schema& a, const Schema& b, std::string_view path);

  /// Notes that `schema` was read once more. kInvalidArgument beyond Caps::schema_visits.
  Status visit(const Schema& schema, std::string_view path);

 private:
  Result<Schema> flat(const Schema& schema, std::string_view path, int depth);

  const Schema& document_;
  const Caps& caps_;
  size_t visits_ = 0;
};

}  // namespace vortex::grammar

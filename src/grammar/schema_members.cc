#include "grammar/schema_members.h"

#include <algorithm>
#include <set>
#include <utility>

#include "grammar/errors.h"

namespace vortex::grammar {
namespace {

const Schema& anything() {
  static const Schema kAnything = true;
  return kAnything;
}

Result<std::set<std::string>> required_names(const Schema& schema, std::string_view path) {
  std::set<std::string> names;
  const Schema* list = find(schema, "required");
  if (list == nullptr) return names;
  if (!list->is_array()) return refused(path, "\"required\" must be a list of names");
  for (const Schema& name : *list) {
    if (!name.is_string()) return refused(path, "\"required\" must be a list of names");
    names.insert(name.get<std::string>());
  }
  return names;
}

// The rest of an object after member `i - 1` was written, for each i: a rule each, since every optional member
// before the first required one may be the first.
class MemberTails {
 public:
  MemberTails(RuleSet& rules, JsonText& json, const std::vector<Member>& members, std::optional<ExprId> other)
      : rules_(rules), tails_(members.size() + 1) {
    const ExprId separator = json.separator();
    tails_.back() = rules.empty();
    if (other) tails_.back() = shared(rules.repeat(rules.sequence({separator, *other}), 0));
    for (size_t i = members.size(); i-- > 0;) {
      const ExprId member = rules.sequence({separator, members[i].text});
      tails_[i] = shared(rules.sequence({members[i].required ? member : rules.optional(member), tails_[i + 1]}));
    }
  }

  ExprId from(size_t i) const { return tails_[i]; }

 private:
  ExprId shared(ExprId body) { return rules_.rule(rules_.add_rule("members", body)); }

  RuleSet& rules_;
  std::vector<ExprId> tails_;
};

// All in a row, since the first is always there.
ExprId required_first(RuleSet& rules, JsonText& json, const std::vector<Member>& members, std::optional<ExprId> other) {
  std::vector<ExprId> parts = {members[0].text};
  for (size_t i = 1; i < members.size(); ++i) {
    const ExprId member = rules.sequence({json.separator(), members[i].text});
    parts.push_back(members[i].required ? member : rules.optional(member));
  }
  if (other) parts.push_back(rules.repeat(rules.sequence({json.separator(), *other}), 0));
  return rules.sequence(std::move(parts));
}

}  // namespace

Result<ObjectShape> object_shape(const Schema& schema, std::string_view path) {
  VORTEX_ASSIGN_OR_RETURN(std::set<std::string> required, required_names(schema, path));
  ObjectShape shape;
  const Schema* properties = find(schema, "properties");
  if (properties != nullptr && !properties->is_object()) return refused(path, "\"properties\" must be an object");
  shape.other = find(schema, "additionalProperties");
  if (shape.other == nullptr && (properties == nullptr || properties->empty())) shape.other = &anything();
  if (properties != nullptr) {
    for (const auto& [name, value] : properties->items()) {
      shape.members.push_back({name, &value, required.erase(name) > 0});
    }
  }
  for (const std::string& name : required) {
    shape.members.push_back({name, shape.other != nullptr ? shape.other : &anything(), true});
  }
  return shape;
}

Result<ArrayShape> array_shape(const Schema& schema, std::string_view path) {
  ArrayShape shape;
  VORTEX_ASSIGN_OR_RETURN(shape.min, count_of(schema, "minItems", 0, path));
  VORTEX_ASSIGN_OR_RETURN(shape.max, count_of(schema, "maxItems", kUnbounded, path));
  const Schema* first = find(schema, "prefixItems");
  if (first != nullptr && !first->is_array()) return refused(path, "\"prefixItems\" must be a list of schemas");
  if (first != nullptr) {
    for (const Schema& item : *first) shape.first.push_back(&item);
  }
  shape.rest = find(schema, "items");
  if (shape.rest != nullptr && shape.rest->is_array()) {
    return refused(path, "\"items\" as a list is not supported", "use \"prefixItems\"");
  }
  if (shape.rest == nullptr && shape.first.empty()) shape.rest = &anything();
  return shape;
}

ExprId member_list(RuleSet& rules, JsonText& json, const std::vector<Member>& members, std::optional<ExprId> other) {
  if (members.empty()) return other ? json.list(*other, 0, kUnbounded) : rules.empty();
  if (members[0].required) return required_first(rules, json, members, other);
  const MemberTails tails(rules, json, members, other);
  std::vector<ExprId> ways;
  for (size_t i = 0; i < members.size(); ++i) {
    ways.push_back(rules.sequence({members[i].text, tails.from(i + 1)}));
    if (members[i].required) return rules.choice(std::move(ways));
  }
  ways.push_back(other ? json.list(*other, 0, kUnbounded) : rules.empty());
  return rules.choice(std::move(ways));
}

ExprId item_list(RuleSet& rules, JsonText& json, const std::vector<ExprId>& first, std::optional<ExprId> rest,
                 int64_t min, int64_t max) {
  const auto listed = static_cast<int64_t>(first.size());
  if (!rest) max = max == kUnbounded ? listed : std::min(max, listed);
  if (max != kUnbounded && max < min) return rules.choice({});
  if (listed == 0) return rest ? json.list(*rest, min, max) : rules.empty();
  if (max == 0) return rules.empty();

  const ExprId separator = json.separator();
  std::vector<ExprId> always, perhaps;
  for (int64_t i = 0; i < listed && (max == kUnbounded || i < max); ++i) {
    const ExprId item = i == 0 ? first[0] : rules.sequence({separator, first[i]});
    (i < min ? always : perhaps).push_back(item);
  }
  if (rest && (max == kUnbounded || max > listed)) {
    const ExprId more = rules.sequence({separator, *rest});
    const int64_t most = max == kUnbounded ? kUnbounded : max - listed;
    (min > listed ? always : perhaps).push_back(rules.repeat(more, std::max<int64_t>(min - listed, 0), most));
  }
  always.push_back(rules.prefix(std::move(perhaps)));
  return rules.sequence(std::move(always));
}

}  // namespace vortex::grammar

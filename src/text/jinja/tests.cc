// The tests behind `is`.
#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/fault.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"
#include "text/jinja/string_ops.h"

namespace vortex::text::jinja {
namespace {

using Test = bool (*)(Runtime&, const Value&, const Args&);

struct Entry {
  std::string_view name;
  Test test;
  size_t arguments;
};

template <bool (Value::*is)() const>
bool is_kind(Runtime&, const Value& value, const Args&) {
  return (value.*is)();
}

bool is_defined(Runtime&, const Value& value, const Args&) { return !value.is_undefined(); }
bool is_integer(Runtime&, const Value& value, const Args&) { return value.is_integral() && !value.is_bool(); }
bool is_true(Runtime&, const Value& value, const Args&) { return value.is_bool() && value.boolean(); }
bool is_false(Runtime&, const Value& value, const Args&) { return value.is_bool() && !value.boolean(); }

bool is_iterable(Runtime&, const Value& value, const Args&) {
  return value.is_undefined() || value.is_string() || value.is_list() || value.is_dict();
}

bool is_sequence(Runtime&, const Value& value, const Args&) {
  return value.is_undefined() || value.is_string() || value.is_dict() ||
         (value.is_list() && value.list()->kind <= List::kRange);
}

bool is_callable(Runtime&, const Value& value, const Args&) {
  return value.is_undefined() || (value.is_object() && value.object()->is_callable());
}

bool divides(Runtime& runtime, const Value& value, const Value& by) {
  return equal(arithmetic(runtime, Operator::kModulo, value, by), Value(int64_t{0}));
}

bool is_even(Runtime& runtime, const Value& value, const Args&) { return divides(runtime, value, int64_t{2}); }
bool is_odd(Runtime& runtime, const Value& value, const Args&) {
  return equal(arithmetic(runtime, Operator::kModulo, value, int64_t{2}), Value(int64_t{1}));
}
bool is_divisible(Runtime& runtime, const Value& value, const Args& args) {
  return divides(runtime, value, args.positional[0]);
}

template <Operator op>
bool is_compared(Runtime& runtime, const Value& value, const Args& args) {
  return compare(runtime, op, value, args.positional[0]);
}

// Identity of scalars is equality of the same type.
bool is_same(Runtime&, const Value& value, const Args& args) {
  const Value& other = args.positional[0];
  if (value.is_list() && other.is_list()) return value.list() == other.list();
  if (value.is_dict() && other.is_dict()) return value.dict() == other.dict();
  return value.type_name() == other.type_name() && equal(value, other);
}

template <MarkedString (*recase)(Runtime&, const MarkedString&),
          MarkedString (*opposite)(Runtime&, const MarkedString&)>
bool has_case(Runtime& runtime, const Value& value, const Args&) {
  const MarkedString text = to_text(runtime, value);
  return recase(runtime, text).text() == text.text() && opposite(runtime, text).text() != text.text();
}

bool names_filter(Runtime&, const Value& value, const Args&) {
  return value.is_string() && is_filter(value.string().text());
}
bool names_test(Runtime&, const Value& value, const Args&) {
  return value.is_string() && is_test(value.string().text());
}
bool is_escaped(Runtime&, const Value& value, const Args&) { return value.is_string() && value.string().markup; }

constexpr Entry kTests[] = {
    {"defined", is_defined, 0},
    {"undefined", is_kind<&Value::is_undefined>, 0},
    {"none", is_kind<&Value::is_none>, 0},
    {"string", is_kind<&Value::is_string>, 0},
    {"mapping", is_kind<&Value::is_dict>, 0},
    {"number", is_kind<&Value::is_number>, 0},
    {"integer", is_integer, 0},
    {"float", is_kind<&Value::is_float>, 0},
    {"boolean", is_kind<&Value::is_bool>, 0},
    {"true", is_true, 0},
    {"false", is_false, 0},
    {"iterable", is_iterable, 0},
    {"sequence", is_sequence, 0},
    {"callable", is_callable, 0},
    {"odd", is_odd, 0},
    {"even", is_even, 0},
    {"divisibleby", is_divisible, 1},
    {"lower", has_case<lower, upper>, 0},
    {"upper", has_case<upper, lower>, 0},
    {"sameas", is_same, 1},
    {"filter", names_filter, 0},
    {"test", names_test, 0},
    {"escaped", is_escaped, 0},
    {"in", is_compared<Operator::kIn>, 1},
    {"==", is_compared<Operator::kEqual>, 1},
    {"eq", is_compared<Operator::kEqual>, 1},
    {"equalto", is_compared<Operator::kEqual>, 1},
    {"!=", is_compared<Operator::kNotEqual>, 1},
    {"ne", is_compared<Operator::kNotEqual>, 1},
    {"<", is_compared<Operator::kLess>, 1},
    {"lt", is_compared<Operator::kLess>, 1},
    {"lessthan", is_compared<Operator::kLess>, 1},
    {"<=", is_compared<Operator::kLessEqual>, 1},
    {"le", is_compared<Operator::kLessEqual>, 1},
    {">", is_compared<Operator::kGreater>, 1},
    {"gt", is_compared<Operator::kGreater>, 1},
    {"greaterthan", is_compared<Operator::kGreater>, 1},
    {">=", is_compared<Operator::kGreaterEqual>, 1},
    {"ge", is_compared<Operator::kGreaterEqual>, 1},
};

const Entry* find_test(std::string_view name) {
  const auto* entry =
      std::find_if(std::begin(kTests), std::end(kTests), [&](const Entry& e) { return e.name == name; });
  return entry == std::end(kTests) ? nullptr : entry;
}

}  // namespace

bool is_test(std::string_view name) { return find_test(name) != nullptr; }

bool apply_test(Runtime& runtime, std::string_view name, const Value& value, Args args) {
  runtime.charge();
  const Entry* entry = find_test(name);
  if (entry == nullptr) fail("there is no test '{}'", name);
  if (args.positional.size() != entry->arguments || !args.keyword.empty()) {
    fail("the test '{}' takes {} arguments", name, entry->arguments);
  }
  return entry->test(runtime, value, args);
}

}  // namespace vortex::text::jinja

"""Each construct of the template language, rendered by python jinja2 and by our program; byte for byte, errors too.

Usage: jinja_differential_test.py PROGRAM. The cases lie in jinja_cases.txt: one template a line, \\n for a line end;
the expressions of a line without blocks also run one by one, so that the error of one hides no other.
"""

import os
import re
import sys

import jinja_peer

INPUTS = {
    "a": 7,
    "b": 3,
    "f": 2.5,
    "neg": -7,
    "t": True,
    "n": None,
    "s": "Hello World",
    "u": "Größe 日本語 e\u0301 😀",
    "ws": "  \t padded \n ",
    "lines": "one\ntwo\n\n  three\r\nfour\n",
    "csv": "a,b,,c",
    "empty": "",
    "l": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple"],
    "mixed": [1, "x", None, True, 2.0, [1, 2], {"k": "v"}],
    "d": {"b": 1, "a": 2, "C": 3},
    "nested": {"x": {"y": [10, {"z": "deep"}]}, "items": "shadowed", "get": 1},
    "people": [
        {"name": "Zoe", "age": 30, "tags": ["x", "y"], "city": "Rome"},
        {"name": "adam", "age": 25, "tags": [], "city": "Oslo"},
        {"name": "Bob", "age": 30, "city": "rome"},
    ],
    "html": "<a href='x'>\"&\"</a>",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"q": 1}}}]},
    ],
    "numbers": [0.1, 1e16, 1e15, 1e-5, 0.0001, 123456789.125, 1e300, -0.0, 100.0, 5e-324],
}


def cases():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jinja_cases.txt")
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#!"):
                continue
            template = line.replace("\\n", "\n").replace("\\N", "\\n")
            yield number, template
            expressions = re.findall(r"\{\{.*?\}\}", template)
            if "{%" not in template and len(expressions) > 1:
                yield from ((number, expression) for expression in expressions)


def main():
    all_cases = list(cases())
    got = jinja_peer.rendered(sys.argv[1], [(template, INPUTS) for _, template in all_cases])
    wrong = errors = 0
    for (number, template), ours in zip(all_cases, got):
        want = jinja_peer.expected(template, INPUTS)
        errors += "error" in want
        if not jinja_peer.agree(want, ours):
            wrong += 1
            print(f"jinja_cases.txt:{number}: {template!r}\n  jinja2: {want}\n  ours:   {ours}")
    print(f"{len(all_cases)} templates ({errors} of them errors in jinja2), {wrong} differ")
    sys.exit(1 if wrong or not all_cases else 0)


if __name__ == "__main__":
    main()

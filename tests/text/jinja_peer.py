"""Renders chat templates by python jinja2 as transformers does, and by our own program, and compares the two."""

import datetime
import functools
import json
import subprocess
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.sandbox
except ImportError:
    print("skipped: this Python has no jinja2")
    sys.exit(77)

NOW = 1750000000  # what strftime_now reads on both sides


class Generation(jinja2.ext.Extension):
    """{% generation %} as transformers treats it when no token mask is asked for."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_through"), [], [], body).set_lineno(line)

    def _through(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(form):
    return datetime.datetime.fromtimestamp(NOW).strftime(form)


@functools.cache
def compiled(template):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env.from_string(template)


def expected(template, inputs):
    """{"text"} or {"error"} by jinja2. Any exception counts: that of a filter's TypeError too."""
    try:
        return {"text": compiled(template).render(**json.loads(json.dumps(inputs)))}
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"}


def rendered(program, cases):
    """What our program makes of [(template, inputs)], in the same order."""
    lines = [json.dumps({"template": t, "inputs": i, "now": NOW}) for t, i in cases]
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def agree(want, got):
    return want["text"] == got.get("text") if "text" in want else "error" in got

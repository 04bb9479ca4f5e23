"""Renders the chat templates in the source distribution of llama-cpp-python by jinja2 and by our program.

Usage: jinja_real_templates_test.py PROGRAM CACHE_DIR. Downloads once into CACHE_DIR; exits 77 without network.
"""

import glob
import os
import subprocess
import sys
import tarfile

import jinja_peer

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
FOLDER = "/vendor/llama.cpp/models/templates/"
MUST_AGREE = 60
SKIPPED = 77

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city, \"now\" or later.\nSecond line",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City & country"},
                    "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                    "days": {"type": "integer", "minimum": 1},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {"name": "noop", "description": "Nothing", "parameters": {"type": "object", "properties": {}}},
    },
]


def call(name, arguments, ident="call_abc12"):
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def conversations():
    system = {"role": "system", "content": "Be brief."}
    weather = call("get_weather", {"city": "Zürich", "days": 2, "tags": ["a", "b"], "where": {"lat": 47.4}}, "abcdef123")
    result = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": '{"temp": 21.5}'}
    yield "user", {"messages": [user("Hi")]}
    yield "system and user", {"messages": [system, user("  Hello <b>world</b>  ")]}
    yield "turns", {"messages": [system, user("2+2?"), assistant("4"), user("Größe & 日本語?")]}
    yield "no prompt", {"messages": [user("2+2?"), assistant("4")], "add_generation_prompt": False}
    yield "tools", {"messages": [user("Weather?")], "tools": TOOLS}
    yield "tool call", {"messages": [system, user("Weather?"), assistant("", tool_calls=[weather]), result], "tools": TOOLS}
    yield "tool call answered", {
        "messages": [
            user("Weather?"),
            assistant(None, tool_calls=[weather]),
            result,
            assistant("21 degrees"),
            user("Thanks"),
        ],
        "tools": TOOLS,
    }
    yield "two calls", {
        "messages": [
            user("Both"),
            assistant("Sure", tool_calls=[weather, call("noop", {}, "abcdef124")]),
            result,
            {"role": "tool", "name": "noop", "tool_call_id": "abcdef124", "content": "done"},
        ],
        "tools": TOOLS,
    }
    yield "arguments as text", {
        "messages": [user("W?"), assistant("", tool_calls=[call("get_weather", '{"city": "Rome"}', "abcdef123")]), result],
        "tools": TOOLS,
    }
    yield "reasoning", {
        "messages": [user("Why?"), assistant("Because", reasoning_content="I think\nso"), user("Sure?")],
        "enable_thinking": True,
    }
    yield "think tags", {"messages": [user("Why?"), assistant("<think>\nhm\n</think>\n\nBecause"), user("Sure?")]}
    yield "no thinking", {"messages": [user("Why?")], "enable_thinking": False, "thinking": False}
    yield "parts", {"messages": [user([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])]}
    yield "empty", {"messages": []}
    yield "odd order", {"messages": [assistant("first"), assistant("second")]}
    yield "documents", {
        "messages": [system, user("Find it")],
        "documents": [{"title": "T", "text": "Body", "doc_id": "1", "content": "Body"}],
    }


def download(cache):
    """Folder of the templates: fetched by pip once, only the templates kept."""
    folder = os.path.join(cache, f"templates-{VERSION}")
    if os.path.isdir(folder):
        return folder
    os.makedirs(cache, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
    done = subprocess.run([*command, "--dest", cache, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True)
    archives = glob.glob(os.path.join(cache, "llama_cpp_python-*.tar.gz"))
    if done.returncode != 0 or not archives:
        print(f"skipped: pip could not download {PACKAGE} {VERSION}:\n{done.stderr[-500:]}")
        sys.exit(SKIPPED)
    part = folder + ".part"
    os.makedirs(part, exist_ok=True)
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            if FOLDER in member.name and member.name.endswith(".jinja") and member.isfile():
                with open(os.path.join(part, os.path.basename(member.name)), "wb") as out:
                    out.write(archive.extractfile(member).read())
    os.rename(part, folder)
    os.remove(archives[0])
    return folder


def differences(program, template):
    common = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
    cases = [(name, {**common, **inputs}) for name, inputs in conversations()]
    got = jinja_peer.rendered(program, [(template, inputs) for _, inputs in cases])
    for (name, inputs), ours in zip(cases, got):
        want = jinja_peer.expected(template, inputs)
        yield name, want, ours


def main():
    program, cache = sys.argv[1:3]
    paths = sorted(glob.glob(os.path.join(download(cache), "*.jinja")))
    alike, texts = 0, 0
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            outcomes = list(differences(program, file.read()))
        texts += sum("text" in want for _, want, _ in outcomes)
        wrong = [outcome for outcome in outcomes if not jinja_peer.agree(outcome[1], outcome[2])]
        alike += not wrong
        for name, want, ours in wrong[:3]:
            print(f"{os.path.basename(path)}: {name}\n  jinja2: {str(want)[:400]}\n  ours:   {str(ours)[:400]}")
    print(f"{alike} of {len(paths)} templates render alike ({texts} texts, the other conversations fail in both)")
    sys.exit(0 if alike >= MUST_AGREE else 1)


if __name__ == "__main__":
    main()

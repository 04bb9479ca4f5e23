"""What is shipped beside the program: completions, the manual page, the package, the unit, the board, the image."""

import json
import os
import re
import shutil
import subprocess

import pytest
from program import PROGRAM, ROOT, assert_refused, vortex


def script_of(shell):
    outcome = vortex("completion", shell)
    assert outcome.status == 0, outcome.err
    return outcome.out


def completions(words):
    """What bash offers for the last of `words`."""
    script = script_of("bash") + (
        f"COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); _vortex;"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


def test_bash_completes_commands_flags_and_values():
    assert {"run", "serve", "bench", "completion"} <= completions(["vortex", ""])
    assert completions(["vortex", "ser"]) == {"serve"}
    assert completions(["vortex", "bench", ""]) >= {"latency"}
    assert completions(["vortex", "flow", "ch"]) == {"check"}
    assert completions(["vortex", "run", "--max-model"]) == {"--max-model-len"}
    assert completions(["vortex", "run", "--device", ""]) == {"cpu", "cuda", "auto"}
    assert "--max-model-len" not in completions(["vortex", "list", "--m"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_well_formed(shell, tmp_path):
    script = tmp_path / "script"
    script.write_text(script_of(shell))
    assert "max-model-len" in script.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_fish_completes_a_flag(tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    (tmp_path / "vortex.fish").write_text(script_of("fish"))
    ask = f"source {tmp_path}/vortex.fish; complete -C 'vortex run --max-mod'; complete -C 'vortex bench '"
    done = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    assert "--max-model-len" in done.stdout and "latency" in done.stdout, done.stdout


def test_unknown_shells_are_refused():
    assert_refused(vortex("completion", "tcsh"), 2, "tcsh")


def test_the_manual_page_renders(tmp_path):
    outcome = vortex("man")
    assert outcome.status == 0
    page = tmp_path / "vortex.1"
    page.write_text(outcome.out)
    if shutil.which("man") is None:
        pytest.skip("no man here")
    environment = os.environ | {"MANWIDTH": "120", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(
        ["man", "--warnings", "-l", str(page)], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert done.stderr == ""
    text = re.sub(".\b", "", done.stdout)
    for part in ("vortex serve", "vortex bench latency", "--max-model-len", "VORTEX_MAX_MODEL_LEN", "EXIT STATUS"):
        assert part in text, part
    if shutil.which("lexgrog"):
        assert "vortex - serves" in subprocess.check_output(["lexgrog", str(page)], text=True)


def test_the_debian_package_holds_what_it_should(tmp_path):
    build = os.path.dirname(os.path.dirname(PROGRAM))
    if shutil.which("dpkg-deb") is None or not os.path.exists(f"{build}/CPackConfig.cmake"):
        pytest.skip("no dpkg-deb, or no build folder")
    made = subprocess.run(
        ["cpack", "-G", "DEB", "--config", f"{build}/CPackConfig.cmake", "-B", str(tmp_path)],
        cwd=build, capture_output=True, text=True, timeout=300, check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (package,) = tmp_path.glob("*.deb")
    listing = subprocess.check_output(["dpkg-deb", "-c", str(package)], text=True)
    files = {line.split()[5].lstrip(".") for line in listing.splitlines()}
    assert {
        "/usr/bin/vortex",
        "/usr/include/vortex/flow.h",
        "/usr/lib/vortex/python/vortex/flow/trace_main.py",
        "/usr/share/man/man1/vortex.1",
        "/usr/share/bash-completion/completions/vortex",
        "/usr/share/zsh/vendor-completions/_vortex",
        "/usr/share/fish/vendor_completions.d/vortex.fish",
        "/usr/lib/systemd/system/vortex.service",
        "/usr/share/vortex/grafana/vortex.json",
        "/usr/share/doc/vortex/settings.md",
        "/usr/share/doc/vortex/copyright",
    } <= files
    assert not [name for name in files if name.endswith((".safetensors", ".a", "_test"))]
    control = subprocess.check_output(["dpkg-deb", "-f", str(package)], text=True)
    assert "Package: vortex" in control and "libc6" in control


def test_the_unit_is_hardened_and_outlasts_a_drain():
    unit = (ROOT / "packaging/systemd/vortex.service").read_text()
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    expected = {"Type": "notify", "Restart": "on-failure", "DynamicUser": "yes", "ProtectSystem": "strict",
                "NoNewPrivileges": "yes", "LimitNOFILE": "65536", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes"}
    assert {name: settings[name] for name in expected} == expected
    default = re.search(r"--shutdown-timeout\b.*?\| (\d+)", (ROOT / "docs/settings.md").read_text())
    assert default and int(settings["TimeoutStopSec"].rstrip("s")) > int(default.group(1))
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(ROOT / "packaging/systemd/vortex.service")],
            capture_output=True, text=True, timeout=60, check=False,
        )
        assert "Unknown" not in done.stderr and "Failed to parse" not in done.stderr, done.stderr


def test_the_board_asks_for_metrics_that_the_server_has():
    board = json.loads((ROOT / "packaging/grafana/vortex.json").read_text())
    asked = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked |= set(re.findall(r"\b(?:vllm|vortex):\w+|\bhttp_\w+|\bprocess_\w+", target["expr"]))
    written = "".join(path.read_text() for path in (ROOT / "src/server").glob("metrics*.cc"))
    for name in asked:
        assert f'"{re.sub("_bucket$", "", name)}"' in written, name
    assert len(asked) >= 15
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}) == len(board["panels"])


def test_the_image_runs_as_nobody_in_particular():
    text = (ROOT / "packaging/docker/Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.M)[1:]
    assert [s.split()[0] for s in stages] == ["debian:12-slim", "debian:12-slim", "runtime", "runtime"]
    assert "USER 5000:5000" in stages[1] and stages[2].rstrip().split("\n")[-1].startswith(("USER 5000:5000", "#"))
    assert 'ENTRYPOINT ["/usr/bin/vortex", "serve"]' in text
    assert "CPACK_DEBIAN_FILE_NAME=vortex.deb" in text and "COPY --from=build /build/vortex.deb" in text
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, flags=re.M):
        assert (ROOT / source).exists(), source

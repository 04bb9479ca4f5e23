"""Compilers and the cache of what they make, when things go wrong (faults 5 to 8 and 10)."""

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from model_images import tiny_model
from program import PROGRAM, ROOT, assert_refused, environment, vortex

FAILED, CONFIGURATION = 1, 78
SOURCE = ROOT / "flows/block_sparse_attention.cc"

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def build(cache, source=SOURCE, out=None, **variables):
    out = out or cache.parent / "out.so"
    return vortex("flow", "build", source, "-o", out, VORTEX_CACHE_DIR=str(cache), **variables)


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def counting_compiler(folder, before=""):
    """A compiler that notes each of its runs; returns what CXX is to be and a function that counts."""
    log = folder / "runs"
    wrapper = script(folder / "counting-c++", f'echo run >> {log}\n{before}\nexec c++ "$@"\n')
    return wrapper, lambda: len(log.read_text().splitlines()) if log.exists() else 0


def entries(cache):
    """Libraries and lists; locks are left out."""
    return sorted(path for path in (cache / "compiled").iterdir() if path.suffix != ".lock")


# --- F5: a full disk


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", folder]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("filler", [60_000, 40_000], ids=["at_the_link", "after_it"])
def test_f05_a_full_disk_for_the_cache(small_disk, tmp_path, filler):
    out = tmp_path / "out.so"
    (small_disk / "filler").write_bytes(bytes(filler))
    refused = build(small_disk, out=out)
    assert_refused(refused, refused.status, "No space left on device")
    assert refused.status in (FAILED, CONFIGURATION) and not out.exists()
    assert entries(small_disk) == [], "no half file, no folder of a build"
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert build(small_disk, out=out).status == 0


def test_f05_a_full_disk_for_the_result(small_disk, tmp_path, cache):
    (small_disk / "filler").write_bytes(bytes(60_000))
    assert_refused(build(cache, out=small_disk / "out.so"), FAILED, "out.so", "No space left on device")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_f05_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(build(tmp_path / "file"), FAILED, tmp_path / "file")


# --- F6: entries that somebody changed


@pytest.fixture
def entry(cache, tmp_path):
    """A cache with one entry and a way to build it again: returns (library, list, rebuild, runs)."""
    compiler, runs = counting_compiler(tmp_path)
    assert build(cache, CXX=compiler).status == 0
    inputs, library = sorted(entries(cache), key=lambda path: path.suffix)
    assert (inputs.suffix, library.suffix, runs()) == (".inputs", ".so", 1)
    assert build(cache, CXX=compiler).status == 0 and runs() == 1, "found"

    def rebuild():
        """Whether the next build runs the compiler, and ends well."""
        before = runs()
        done = build(cache, CXX=compiler)
        assert done.status == 0, done.err
        return runs() > before

    return library, inputs, rebuild


def test_f06_a_library_cut_at_each_4_kb_is_built_again(entry):
    library, _, rebuild = entry
    whole = library.read_bytes()
    for size in range(0, len(whole), max(4096, len(whole) // 12 // 4096 * 4096)):
        library.write_bytes(whole[:size])
        assert rebuild(), size
        assert not rebuild()


def test_f06_flipped_bits_are_built_again(entry):
    library, inputs, rebuild = entry
    for file in (library, inputs):
        for share in (0.0, 0.3, 0.6, 0.999):
            whole = bytearray(file.read_bytes())
            whole[int(share * len(whole))] ^= 0x10
            file.write_bytes(whole)
            assert rebuild(), (file.name, share)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_f06_an_entry_of_another_user_is_built_again(entry):
    for index in (0, 1):
        os.chown(entry[index], 12345, 12345)
        assert entry[2](), entry[index]
        assert entry[index].stat().st_uid == 0


def test_f06_an_entry_that_others_may_write_is_built_again(entry):
    for index in (0, 1):
        entry[index].chmod(0o777)
        assert entry[2](), entry[index]
        assert stat.S_IMODE(entry[index].stat().st_mode) & 0o022 == 0


def test_f06_a_planted_library_is_never_loaded(entry, tmp_path):
    """With its constructor it would make a file the moment it is opened."""
    library, _, rebuild = entry
    marker = tmp_path / "code-was-run"
    evil = tmp_path / "evil.cc"
    evil.write_text(f'#include <cstdio>\n[[gnu::constructor]] static void f() {{ std::fopen("{marker}", "w"); }}\n')
    subprocess.run(["c++", "-shared", "-fPIC", "-o", tmp_path / "evil.so", evil], check=True)
    shutil.copy(tmp_path / "evil.so", library)
    assert rebuild() and not marker.exists()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_f06_a_folder_that_others_may_write_is_refused(cache, mode):
    (cache / "compiled").mkdir(parents=True)
    (cache / "compiled").chmod(mode)
    assert_refused(build(cache), CONFIGURATION, "can be written by others")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_f06_a_folder_of_another_user_is_refused(cache):
    (cache / "compiled").mkdir(parents=True)
    os.chown(cache / "compiled", 12345, 12345)
    assert_refused(build(cache), CONFIGURATION, "belongs to another user")


def test_f06_another_compiler_is_another_entry(entry, tmp_path, cache):
    other = script(tmp_path / "other-c++", 'exec c++ "$@"\n')
    assert build(cache, CXX=other).status == 0
    assert len([path for path in entries(cache) if path.suffix == ".so"]) == 2


def test_f06_a_library_of_an_old_interface_is_refused(tmp_path):
    """A flow built against another vortex/flow.h names another version of it."""
    old = tmp_path / "old.cc"
    export = 'extern "C" __attribute__((visibility("default")))'
    old.write_text(
        f'{export} const char* vortex_flow_abi() {{ return "vortex-flow-abi/0"; }}\n'
        f"{export} const void* vortex_flows_begin() {{ return nullptr; }}\n"
        f"{export} const void* vortex_flows_end() {{ return nullptr; }}\n"
    )
    subprocess.run(["c++", "-shared", "-fPIC", "-o", tmp_path / "old.so", old], check=True)
    config = json.dumps({"module_path": str(tmp_path / "old.so"), "topk_val": 4})
    model = tiny_model(tmp_path / "model")
    refused = vortex("run", model, "hi", "--vortex-config", config)
    assert_refused(refused, CONFIGURATION, "old.so", "was built for vortex-flow-abi/0, this program has")


# --- F7: many builders


def test_f07_processes_that_build_the_same_flow_at_once(cache, tmp_path):
    compiler, runs = counting_compiler(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(build, cache, out=tmp_path / f"{i}.so", CXX=compiler) for i in range(4)]
        assert [job.result().status for job in jobs] == [0] * 4
    assert runs() == 1, "one builds, the others wait for it"
    assert len({(tmp_path / f"{i}.so").read_bytes() for i in range(4)}) == 1
    assert [path.suffix for path in entries(cache)].count(".so") == 1


def start_build(cache, out, **variables):
    return subprocess.Popen(
        [PROGRAM, "flow", "build", SOURCE, "-o", out],
        env=environment(VORTEX_CACHE_DIR=str(cache), **variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_f07_a_killed_builder_stops_nobody(cache, tmp_path):
    """The compiler sleeps once; its builder is killed while another process waits for it."""
    once = f"if mkdir {tmp_path}/first 2>/dev/null; then sleep 15; fi"
    compiler, runs = counting_compiler(tmp_path, once)
    killed = start_build(cache, tmp_path / "killed.so", CXX=compiler)
    wait_for(lambda: runs() == 1)
    waiting = start_build(cache, tmp_path / "waiting.so", CXX=compiler)
    time.sleep(0.5)
    assert waiting.poll() is None, "it waits for its turn"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    start = time.monotonic()
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert time.monotonic() - start < 14, "it did not wait for the orphan"
    assert runs() == 2 and not (tmp_path / "killed.so").exists()


def test_f07_a_builder_that_hangs_stops_nobody(cache, tmp_path):
    """Stopped, not dead: it keeps its turn, and the other one builds after 8 seconds."""
    once = f"if mkdir {tmp_path}/first 2>/dev/null; then sleep 15; fi"
    compiler, runs = counting_compiler(tmp_path, once)
    stopped = start_build(cache, tmp_path / "stopped.so", CXX=compiler)
    wait_for(lambda: runs() == 1)
    stopped.send_signal(signal.SIGSTOP)
    try:
        done = build(cache, CXX=compiler)
        assert done.status == 0, done.err
    finally:
        stopped.send_signal(signal.SIGCONT)
        stopped.send_signal(signal.SIGKILL)
        stopped.wait()


def test_f07_what_a_killed_build_left_goes_with_a_later_one(cache, tmp_path):
    compiler, runs = counting_compiler(tmp_path, "sleep 3; exit 1")
    killed = start_build(cache, tmp_path / "killed.so", CXX=compiler)
    wait_for(lambda: runs() == 1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (left,) = [path for path in (cache / "compiled").iterdir() if path.is_dir()]
    assert build(cache).status == 0
    assert left.exists(), "it might still be at work"
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    other = tmp_path / "other.cc"
    other.write_text(SOURCE.read_text() + "\n")
    assert build(cache, source=other).status == 0
    assert not left.exists()


# --- F8: compilers that fail


def failing(cache, tmp_path, text, source=SOURCE, **variables):
    start = time.monotonic()
    model = tiny_model(tmp_path / "model")
    compiler = script(tmp_path / "fake-c++", text)
    outcome = vortex("run", model, "hi", "--flow", source, VORTEX_CACHE_DIR=str(cache), CXX=compiler, **variables)
    assert time.monotonic() - start < 30
    assert entries(cache) == []
    return outcome


def test_f08_a_compile_error_has_its_place(cache, tmp_path):
    broken = tmp_path / "broken.cc"
    broken.write_text(SOURCE.read_text() + "\nint f() { return nothing; }\n")
    line = broken.read_text().splitlines().index("int f() { return nothing; }") + 1
    refused = failing(cache, tmp_path, 'exec c++ "$@"\n', broken)
    assert_refused(refused, CONFIGURATION, f"{broken}:{line}:18:", "'nothing' was not declared")


def test_f08_the_first_of_a_hundred_thousand_lines_of_errors(cache, tmp_path):
    loop = f'i=1; while [ $i -le 100000 ]; do echo "{SOURCE}:$i:1: error: fault $i"; i=$((i + 1)); done >&2; exit 1\n'
    refused = failing(cache, tmp_path, loop)
    assert_refused(refused, CONFIGURATION, f"{SOURCE}:1:1: fault 1 ", "more; VORTEX_LOG_LEVEL=debug shows all")


@pytest.mark.slow
def test_f08_a_compiler_that_writes_without_end(cache, tmp_path):
    assert_refused(failing(cache, tmp_path, "exec yes\n"), FAILED, "did not end within 20 s")


def test_f08_a_compiler_that_hangs(cache, tmp_path):
    marker = tmp_path / "grandchild-lives"
    refused = failing(cache, tmp_path, f"(sleep 21; touch {marker}) &\nsleep 600\n")
    assert_refused(refused, FAILED, "did not end within 20 s")
    time.sleep(2)
    assert not marker.exists(), "its children are stopped too"


@pytest.mark.parametrize(
    "text, part",
    [
        ("exit 1\n", "the compiler failed: it wrote nothing"),
        ("kill -9 $$\n", "the compiler failed"),
        ("exit 0\n", "No such file"),
        ("echo 'g++: fatal error: Killed signal terminated program cc1plus' >&2; exit 1\n", "Killed signal"),
    ],
)
def test_f08_a_compiler_that_ends_without_a_result(cache, tmp_path, text, part):
    refused = failing(cache, tmp_path, text)
    assert_refused(refused, refused.status, part)
    assert refused.status in (FAILED, CONFIGURATION)


def test_f08_no_compiler(cache, tmp_path):
    model = tiny_model(tmp_path / "model")
    variables = dict(VORTEX_CACHE_DIR=str(cache), PATH=str(tmp_path), CXX="")
    refused = vortex("run", model, "hi", "--flow", SOURCE, **variables)
    assert_refused(refused, FAILED, "no C++ compiler", "apt-get install g++")
    missing = vortex("run", model, "hi", "--flow", SOURCE, **variables | {"CXX": "/no/such/g++"})
    assert_refused(missing, FAILED, "'/no/such/g++' is no program")


# --- F10: a flow that reads outside its pages


def test_f10_a_flow_cannot_name_what_lies_outside_its_pages(cache, tmp_path):
    """A flow describes operators and has no pointers: a range beyond the page is refused with its place."""
    wild = tmp_path / "wild.cc"
    wild.write_text(SOURCE.read_text().replace('mean(c["k"], 1)', 'mean(mask_slice(c["k"], 0, 1000000, 1), 1)'))
    assert wild.read_text() != SOURCE.read_text()
    model = tiny_model(tmp_path / "model")
    refused = vortex("run", model, "hi", "--flow", wild, VORTEX_CACHE_DIR=str(cache))
    assert refused.status in (FAILED, CONFIGURATION) and str(wild) in refused.err, refused

"""Memory that runs out and files that fail under the loader (faults 12 and 18)."""

import os
import random
import resource
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from model_images import tiny_model
from program import PROGRAM, environment, vortex

FAILED = 1
KNOWN_STATUSES = (0, 1, 2, 78)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")

# Fails the allocations that FAIL_FROM and FAIL_COUNT name, counted from the first of main(); says how many there were.
NTH_ALLOCATION = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static long first, count, seen;
static int armed;

static int fails(void) {
  if (!__atomic_load_n(&armed, __ATOMIC_ACQUIRE)) return 0;
  const long number = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
  if (first == 0 || number < first || number >= first + count) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void* calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }
void* realloc(void* old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
void* memalign(size_t align, size_t size) { return fails() ? NULL : __libc_memalign(align, size); }
void* aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void** out, size_t align, size_t size) {
  void* got = memalign(align, size);
  if (got == NULL) return ENOMEM;
  *out = got;
  return 0;
}

static int (*real_main)(int, char**, char**);

static int armed_main(int argc, char** argv, char** environment) {
  first = atol(getenv("FAIL_FROM"));
  count = atol(getenv("FAIL_COUNT"));
  __atomic_store_n(&armed, 1, __ATOMIC_RELEASE);
  const int status = real_main(argc, argv, environment);
  __atomic_store_n(&armed, 0, __ATOMIC_RELEASE);
  FILE* out = fopen(getenv("SEEN_FILE"), "w");
  if (out != NULL) { fprintf(out, "%ld", seen); fclose(out); }
  return status;
}

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(void), void (*fini)(void),
                      void (*end)(void), void* stack) {
  int (*next)(int (*)(int, char**, char**), int, char**, void (*)(void), void (*)(void), void (*)(void), void*) =
      dlsym(RTLD_NEXT, "__libc_start_main");
  real_main = main;
  return next(armed_main, argc, argv, init, fini, end, stack);
}
"""

# Reads that end early, are interrupted or fail, and maps that fail, on files under FAULTY_FOLDER.
FAULTY_FILES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static int is_faulty(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  const char* folder = getenv("FAULTY_FOLDER");
  return size > 0 && folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int how(const char* kind) { return strcmp(getenv("FAULT"), kind) == 0; }

static ssize_t faulty_read(size_t* size) {
  static int calls;
  if (how("eio")) { errno = EIO; return -1; }
  if (how("eintr") && calls++ % 2 == 0) { errno = EINTR; return -1; }
  if (how("short") && *size > 7) *size = 7;
  return 0;
}

ssize_t read(int fd, void* out, size_t size) {
  ssize_t (*next)(int, void*, size_t) = dlsym(RTLD_NEXT, "read");
  if (is_faulty(fd) && faulty_read(&size) < 0) return -1;
  return next(fd, out, size);
}

ssize_t pread64(int fd, void* out, size_t size, off_t at) {
  ssize_t (*next)(int, void*, size_t, off_t) = dlsym(RTLD_NEXT, "pread64");
  if (is_faulty(fd) && faulty_read(&size) < 0) return -1;
  return next(fd, out, size, at);
}

ssize_t pread(int fd, void* out, size_t size, off_t at) { return pread64(fd, out, size, at); }

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  void* (*next)(void*, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
  if (fd >= 0 && is_faulty(fd) && how("eio")) { errno = EIO; return MAP_FAILED; }
  return next(at, size, protection, flags, fd, offset);
}
"""


def preload(folder, name, text):
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


@pytest.fixture(scope="module")
def shims(tmp_path_factory):
    return tmp_path_factory.mktemp("shims")


@pytest.fixture(scope="module")
def nth_allocation(shims):
    return preload(shims, "nth_allocation", NTH_ALLOCATION)


@pytest.fixture(scope="module")
def faulty_files(shims):
    return preload(shims, "faulty_files", FAULTY_FILES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "model")


# --- F12: memory


def run_failing(library, seen, model, first, count):
    """`vortex run` of which allocations [first, first + count) of main() fail."""
    variables = dict(LD_PRELOAD=library, FAIL_FROM=str(first), FAIL_COUNT=str(count), SEEN_FILE=str(seen))
    arguments = ["run", model, "hi", "--max-tokens", "2", "--threads", "2", "--kv-cache-memory-bytes", "4000000"]
    return vortex(*arguments, timeout=60, **variables)


def assert_ends_well(outcome, what):
    assert outcome.status in KNOWN_STATUSES, (what, outcome)
    if outcome.status == 0:
        return
    lines = outcome.err.strip().splitlines()
    assert lines and lines[-1].startswith("vortex: "), (what, outcome)


@pytest.mark.parametrize("count", [1, 1 << 40], ids=["one", "all_from_there"])
def test_f12_the_nth_allocation_of_a_run_fails(nth_allocation, model, tmp_path, count):
    seen = tmp_path / "seen"
    assert run_failing(nth_allocation, seen, model, 0, 0).status == 0
    total = int(seen.read_text())
    assert total > 1000, "the shim counts"
    numbers = {1 << i for i in range(total.bit_length())} | {3, 5, 6, 7, total - 1}
    numbers |= set(random.Random(12).sample(range(1, total), 30))
    outcomes = {}
    for number in sorted(numbers):
        outcomes[number] = run_failing(nth_allocation, seen, model, number, count)
    for number, outcome in outcomes.items():
        assert_ends_well(outcome, f"allocation {number} of {total}")
    assert any(outcome.status == FAILED and "memory" in outcome.err for outcome in outcomes.values())


def test_f12_an_address_space_that_is_too_small(model):
    """Also what is mapped, not allocated: the KV pool, threads, files."""
    for megabytes in (40, 60, 80, 100, 130, 160, 200, 300, 500):
        limit = megabytes << 20
        done = subprocess.run(
            [PROGRAM, "run", model, "hi", "--max-tokens", "2", "--threads", "2"],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        linker = done.returncode == 127 and "error while loading shared libraries" in done.stderr
        assert linker or done.returncode in KNOWN_STATUSES, (megabytes, done)
        if done.returncode in KNOWN_STATUSES[1:]:
            assert done.stderr.strip().splitlines()[-1].startswith("vortex: "), (megabytes, done)


# --- F18: files


def run_faulty(faulty_files, model, fault, command="run"):
    variables = dict(LD_PRELOAD=faulty_files, FAULTY_FOLDER=str(model), FAULT=fault)
    return vortex(command, model, *(["hi", "--max-tokens", "2"] if command == "run" else []), **variables)


@pytest.mark.parametrize("fault", ["short", "eintr"])
def test_f18_short_and_interrupted_reads_change_nothing(faulty_files, model, fault):
    outcome = run_faulty(faulty_files, model, fault)
    assert outcome.status == 0, outcome.err
    assert outcome.out == vortex("run", model, "hi", "--max-tokens", "2").out


def test_f18_a_disk_that_fails_is_a_load_error(faulty_files, model):
    for command in ("run", "inspect"):
        outcome = run_faulty(faulty_files, model, "eio", command)
        assert outcome.status == FAILED, outcome
        assert outcome.err.count("\n") == 1 and str(model) in outcome.err and "Input/output error" in outcome.err


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_f18_a_file_replaced_while_it_is_read(model, tmp_path, file):
    """By renames, as downloaders do: the answer is that of either file, or a load error; never a crash."""
    folder = shutil.copytree(model, tmp_path / "model")
    good, done = (folder / file).read_bytes(), threading.Event()

    def replace():
        turn = 0
        while not done.is_set():
            turn += 1
            (tmp_path / "next").write_bytes(good if turn % 2 else good[: len(good) // 2])
            os.replace(tmp_path / "next", folder / file)

    other = threading.Thread(target=replace)
    other.start()
    try:
        outcomes = [vortex("run", folder, "hi", "--max-tokens", "2") for _ in range(12)]
    finally:
        done.set()
        other.join()
    expected = vortex("run", model, "hi", "--max-tokens", "2").out
    for outcome in outcomes:
        assert outcome.status in (0, FAILED), outcome
        if outcome.status == 0:
            assert outcome.out == expected
        else:
            assert outcome.err.count("\n") == 1 and file in outcome.err


def test_f18_a_file_cut_and_written_again_in_place(model, tmp_path):
    """What no downloader should do: the read of a page that is gone ends the program with a line."""
    folder = shutil.copytree(model, tmp_path / "model")
    path = folder / "model.safetensors"
    good, done = path.read_bytes(), threading.Event()

    def cut():
        while not done.is_set():
            os.truncate(path, 4096)
            with open(path, "r+b") as file:
                file.write(good)

    other = threading.Thread(target=cut)
    other.start()
    try:
        outcomes = [vortex("run", folder, "hi", "--max-tokens", "2") for _ in range(25)]
    finally:
        done.set()
        other.join()
    for outcome in outcomes:
        assert outcome.status in (0, FAILED), outcome
        assert outcome.status == 0 or outcome.err.strip().splitlines()[-1].startswith("vortex: "), outcome


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "unreadable"])
def test_f18_what_is_no_file(model, tmp_path, kind):
    folder = shutil.copytree(model, tmp_path / "model")
    path: Path = folder / "model.safetensors"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/proc/self/mem")
    outcome = vortex("run", folder, "hi", timeout=30)
    assert outcome.status == FAILED and outcome.err.count("\n") == 1 and str(path) in outcome.err, outcome

#!/usr/bin/env python3
"""Checks the source tree against tools/layers.toml; prints each fault and exits 1 if there is any.

What is checked: every #include "folder/..." points to a folder its row allows, of a lower level; intrinsics,
CUDA and JSON headers stay in their places; every folder with headers has a README.md; no file is too long.
"""
import argparse
import fnmatch
import re
import sys
import tomllib
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCE_SUFFIXES = {".h", ".cc", ".def", ".cu", ".cuh"}
SOURCE_ROOTS = ("src", "flows", "include", "python")
# Where the compiler looks for "folder/...": the include path of cmake/VortexModule.cmake.
INCLUDE_ROOTS = ("src", "include", ".", "python")


class Layers:
    """The rules of a layers.toml."""

    def __init__(self, table: dict):
        self.folders = {row["path"]: row for row in table["folder"]}
        self.confined = [(row, re.compile(row["headers"])) for row in table.get("confined", [])]
        self.max_lines = table["max_lines"]

    def owner(self, path: str) -> str | None:
        """The row of a file: the longest path that is the file or one of its folders."""
        owners = [p for p in self.folders if path == p or path.startswith(p + "/")]
        return max(owners, key=len, default=None)

    def faults_of_table(self):
        for path, row in self.folders.items():
            for target in row["may_include"]:
                if target not in self.folders:
                    yield f"layers.toml: {path} may include {target}, which has no row"
                elif self.folders[target]["level"] >= row["level"]:
                    yield f"layers.toml: {path} may include {target}, which is not of a lower level"

    def allows(self, source: str, target: str) -> bool:
        row = self.folders[source]
        return target == source or target in row["may_include"] or target == row.get("public_face_of")

    def confined_fault(self, path: str, header: str) -> str | None:
        for row, pattern in self.confined:
            if pattern.fullmatch(header) and not any(fnmatch.fnmatch(path, p) for p in row["only_under"]):
                return f"{row['what']} header <{header}> belongs under {', '.join(row['only_under'])}"
        return None


def resolve(root: Path, file: Path, header: str) -> str | None:
    """The path, below the root, of the file that a quoted header names; None: not one of ours."""
    for folder in (file.parent, *(root / r for r in INCLUDE_ROOTS)):
        candidate = folder / header
        if candidate.is_file():
            return candidate.resolve().relative_to(root).as_posix()
    return None


def includes(file: Path):
    """(line number, quoted, header) of every include."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1] == '"', match[2]


def faults_of_file(root: Path, file: Path, layers: Layers):
    path = file.relative_to(root).as_posix()
    owner = layers.owner(path)
    if owner is None:
        yield f"{path}: its folder has no row in layers.toml"
        return
    lines = len(file.read_text(encoding="utf-8").splitlines())
    if lines > layers.max_lines:
        yield f"{path}: {lines} lines, the limit is {layers.max_lines}: split it"
    # A test may reach for anything that it needs as an oracle or a rig.
    is_test = file.stem.endswith("_test")
    for number, quoted, header in includes(file):
        if fault := layers.confined_fault(path, header):
            yield f"{path}:{number}: {fault}"
        target_file = resolve(root, file, header) if quoted or header.startswith("vortex/") else None
        if target_file is None:
            continue
        target = layers.owner(target_file)
        if target is None or (not is_test and not layers.allows(owner, target)):
            yield f"{path}:{number}: {owner} may not include {header} ({target or 'no row in layers.toml'})"


def faults_of_folders(root: Path):
    folders = {header.parent for header in (root / "src").rglob("*.h")}
    for folder in sorted(folders):
        if not (folder / "README.md").is_file():
            yield f"{folder.relative_to(root)}: no README.md (what it owns, what it may include, where to start)"


def check(root: Path, layers: Layers) -> list[str]:
    faults = list(layers.faults_of_table())
    for source_root in SOURCE_ROOTS:
        for file in sorted((root / source_root).rglob("*")):
            if file.suffix in SOURCE_SUFFIXES and file.is_file():
                faults += faults_of_file(root, file, layers)
    return faults + list(faults_of_folders(root))


def main() -> int:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=here.parent, help="the tree to check")
    parser.add_argument("--table", type=Path, default=here / "layers.toml", help="the rules")
    options = parser.parse_args()
    layers = Layers(tomllib.loads(options.table.read_text(encoding="utf-8")))
    faults = check(options.root.resolve(), layers)
    for fault in faults:
        print(fault)
    print(f"layers: {len(faults)} faults" if faults else "layers: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

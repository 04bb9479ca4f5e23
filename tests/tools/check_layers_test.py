"""check_layers.py against small trees, each with one fault."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from check_layers import Layers, check  # noqa: E402

TABLE = {
    "max_lines": 10,
    "confined": [
        {"what": "intrinsics", "headers": "immintrin.h", "only_under": ["*/cpu/*"]},
        {"what": "JSON", "headers": "nlohmann/.*", "only_under": ["src/high/*"]},
    ],
    "folder": [
        {"path": "src/low", "level": 0, "may_include": []},
        {"path": "src/low/part", "level": 0, "may_include": []},
        {"path": "src/high", "level": 1, "may_include": ["src/low"]},
        {"path": "include/vortex/api.h", "level": 0, "may_include": []},
    ],
}
GOOD = {
    "src/low/README.md": "",
    "src/low/a.h": "#pragma once\n",
    "src/high/README.md": "",
    "src/high/b.h": '#include <vector>\n#include "low/a.h"\n#include <nlohmann/json.hpp>\n',
    "src/high/cpu/README.md": "",
    "src/high/cpu/fast.h": '#include <immintrin.h>\n#include "high/b.h"\n',
    "include/vortex/api.h": "",
}


def faults(changes: dict[str, str | None], table: dict = TABLE) -> list[str]:
    """The faults of the good tree with some files replaced, or (None) left out."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for path, text in {**GOOD, **changes}.items():
            if text is None:
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return check(root, Layers(table))


class CheckLayers(unittest.TestCase):
    def assert_one_fault(self, found: list[str], *parts: str):
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_good_tree_has_no_fault(self):
        self.assertEqual(faults({}), [])

    def test_an_arrow_upwards_fails(self):
        found = faults({"src/low/a.h": '\n#include "high/b.h"\n'})
        self.assert_one_fault(found, "src/low/a.h:2", "src/low may not include high/b.h", "src/high")

    def test_a_sibling_with_a_row_of_its_own_is_another_folder(self):
        found = faults({"src/low/part/c.h": "", "src/low/part/README.md": "", "src/high/b.h": '#include "low/part/c.h"'})
        self.assert_one_fault(found, "src/high/b.h:1", "src/low/part")

    def test_an_include_beside_the_file_is_resolved_too(self):
        found = faults({"src/low/a.h": '#include "part/c.h"', "src/low/part/c.h": "", "src/low/part/README.md": ""})
        self.assert_one_fault(found, "src/low may not include part/c.h")

    def test_a_public_header_needs_leave(self):
        self.assert_one_fault(faults({"src/low/a.h": "#include <vortex/api.h>"}), "include/vortex/api.h")

    def test_a_test_may_include_anything(self):
        self.assertEqual(faults({"src/low/a_test.cc": '#include "high/b.h"\n'}), [])

    def test_intrinsics_and_json_stay_in_their_places(self):
        self.assert_one_fault(faults({"src/high/b.h": "#include <immintrin.h>"}), "src/high/b.h:1", "intrinsics")
        self.assert_one_fault(faults({"src/low/a.h": "#include <nlohmann/json.hpp>"}), "src/low/a.h:1", "JSON")

    def test_a_folder_without_a_row_fails(self):
        found = faults({"src/new/n.h": "", "src/new/README.md": ""})
        self.assert_one_fault(found, "src/new/n.h", "no row")

    def test_a_folder_without_readme_fails(self):
        self.assert_one_fault(faults({"src/low/README.md": None}), "src/low: no README.md")

    def test_a_long_file_fails(self):
        self.assert_one_fault(faults({"src/low/a.h": "\n" * 11}), "src/low/a.h: 11 lines", "10")

    def test_a_table_that_points_up_or_nowhere_fails(self):
        rows = [{"path": "src/low", "level": 0, "may_include": ["src/high", "src/gone"]}, *TABLE["folder"][1:]]
        found = faults({}, {**TABLE, "folder": rows})
        self.assertEqual(len(found), 2, found)
        self.assertIn("src/high, which is not of a lower level", found[0])
        self.assertIn("src/gone, which has no row", found[1])


if __name__ == "__main__":
    unittest.main()

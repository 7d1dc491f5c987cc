"""The demo's repository: a small Python program, three tests, one of which fails."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from airside.errors import Unavailable

BROKEN_LINE = "    return subtotal - subtotal * rate / 100"
# Not of the same length: Python takes a compiled file for current if size and second of its source are the same.
MENDED_LINE = "    return subtotal * (1 + rate / 100)"

_FILES: Mapping[str, str] = {
    ".gitignore": "__pycache__/\n",
    "README.md": "# Till\n\nAdds up a shopping basket. Run the tests with `python3 -m unittest`.\n",
    "till.py": f'''"""A till: adds up what is in a basket."""


def subtotal(prices: list[float]) -> float:
    """The sum of the prices."""
    return sum(prices)


def with_tax(subtotal: float, rate: float) -> float:
    """The subtotal with tax added; `rate` is in percent."""
{BROKEN_LINE}


def receipt(prices: list[float], rate: float) -> str:
    """One line for the customer."""
    return f"{{len(prices)}} items, {{with_tax(subtotal(prices), rate):.2f}} to pay"
''',
    "test_till.py": """import unittest

import till


class TillTest(unittest.TestCase):
    def test_prices_are_added_up(self):
        self.assertEqual(till.subtotal([1.0, 2.5]), 3.5)

    def test_an_empty_basket_costs_nothing(self):
        self.assertEqual(till.subtotal([]), 0)

    def test_tax_is_added(self):
        self.assertEqual(till.with_tax(100, 19), 119)


if __name__ == "__main__":
    unittest.main()
""",
}

PROMPT = "One test of this repository fails. Find out why, mend the code, not the test, and show that all tests pass."

# What the simulated model says: what a real one would do here.
SCRIPT: list[dict[str, object]] = [
    {"say": "I will run the tests first.", "calls": [{"bash": "python3 -m unittest 2>&1 | tail -20"}]},
    {"say": "`test_tax_is_added` fails. Let me look at the code.", "calls": [{"read": "till.py"}]},
    {
        "say": "`with_tax` subtracts the tax instead of adding it.",
        "calls": [{"edit": {"path": "till.py", "old": BROKEN_LINE, "new": MENDED_LINE}}],
    },
    {"say": "Now the tests again.", "calls": [{"bash": "python3 -m unittest 2>&1 | tail -20"}]},
    {"say": "`with_tax` subtracted the tax; it now adds it, and all three tests pass."},
]


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How the tests of a checkout went."""

    passed: int
    failed: int

    def as_json(self) -> dict[str, int]:
        """For programs."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def make_repository(folder: Path) -> None:
    """Write the files and commit them."""
    folder.mkdir(parents=True)
    for name, content in _FILES.items():
        (folder / name).write_text(content)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=A till")


def apply_patch(folder: Path, patch: str) -> None:
    """Change the checkout as the patch says. Raises `Unavailable` if it does not fit."""
    _git(folder, "apply", "--whitespace=nowarn", "-", given=patch)


def run_tests(folder: Path) -> TestOutcome:
    """Run the repository's tests and count."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    ran = re.search(r"^Ran (\d+) tests?", done.stderr, re.MULTILINE)
    failed = sum(int(count) for count in re.findall(r"(?:failures|errors)=(\d+)", done.stderr))
    return TestOutcome(passed=(int(ran[1]) if ran else 0) - failed, failed=failed)


def _git(folder: Path, *arguments: str, given: str | None = None) -> None:
    who = ("-c", "user.name=Airside demo", "-c", "user.email=demo@airside.invalid", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(f"git {arguments[0]} failed in the demo: {done.stderr.strip()}")

"""The README of these tests says how much was held against AWS; its numbers are counted here."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text()


def section() -> str:
    return README.partition("## Held against AWS")[2].partition("\n## ")[0]


def collected() -> Counter:
    """How many tests each file here has, without this one."""
    listed = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", str(HERE)], cwd=HERE.parent,
                            capture_output=True, text=True, check=True).stdout
    return Counter(re.findall(r"^recorded/(test_\w+_\w+)\.py::", listed, re.M))


def test_the_readme_counts_the_tests():
    said = {name: int(number) for name, number in re.findall(r"\| `(test_\w+)` \| [^|]+ \| (\d+) \|", section())}
    assert said == collected()


def test_the_readme_counts_what_agrees_and_what_differs():
    agree, differ = map(int, re.search(r"\*\*(\d+) agree, (\d+) differ\*\*", section()).groups())
    assert agree == sum(collected().values())
    assert differ == len(re.findall(r"^- ", section(), re.M))

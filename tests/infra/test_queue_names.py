"""Queues are named after the stack, and SQS takes 80 characters: the README says how long its name may be."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readme_says_how_long_a_stacks_name_may_be():
    template = (ROOT / "infra/template.yaml").read_text()
    endings = re.findall(r"QueueName: !Sub \$\{AWS::StackName\}(\S+)", template)
    said = re.search(r"stack's\s+name has at most (\d+) characters", (ROOT / "README.md").read_text())
    assert endings and int(said[1]) == 80 - max(map(len, endings))

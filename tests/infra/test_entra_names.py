"""The names of federated credentials: the same by setup.py and by hand, unique, and within Entra's rules."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

ENTRA = Path(__file__).parents[2] / "infra/entra"
ROLES = [f"arn:aws:iam::{account}:role/{name}" for account in ("111122223333", "444455556666")
         for name in ("keywheel-SweepRole-1AB", "path/of/a.role+x=1", "_under", "r" * 64, "..")]


def credential_name(subject: str) -> str:
    spec = importlib.util.spec_from_file_location("entra_setup", ENTRA / "setup.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.credential_name(subject)


def test_names_are_unique_and_within_entras_rules():
    names = [credential_name(role) for role in ROLES]
    assert len(set(names)) == len(ROLES)
    assert all(re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{2,119}", name) for name in names), names


def test_the_readme_gives_the_name_that_setup_gives():
    line = next(line for line in (ENTRA / "README.md").read_text().splitlines() if line.startswith("  name="))
    for role in ROLES[:4]:
        done = subprocess.run(["bash", "-c", f"role=$1; {line.strip()}; printf %s \"$name\"", "-", role],
                              capture_output=True, text=True, check=True)
        assert done.stdout == credential_name(role)

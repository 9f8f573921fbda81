"""infra/entra/setup.py where nobody is signed in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "infra/entra/setup.py"


def run(path: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "KEYWHEEL_"))}
    return subprocess.run([sys.executable, str(SETUP)], capture_output=True, text=True, timeout=60, check=False,
                          env=kept | {"PATH": str(path)})


def test_a_missing_azure_cli_is_named_with_its_cure(tmp_path: Path):
    done = run(tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("az is not installed; install the Azure CLI"), done.stderr


def test_an_azure_cli_without_a_sign_in_says_so(tmp_path: Path):
    az = tmp_path / "az"
    az.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('ERROR: Please run az login')\n")
    az.chmod(0o755)
    done = run(tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("az gives no token: ERROR: Please run az login"), done.stderr

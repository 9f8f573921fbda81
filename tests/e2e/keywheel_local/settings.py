"""What a local deployment is made of."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def target_dir() -> Path:
    """Where cargo puts what it builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / os.environ.get("KEYWHEEL_PROFILE_DIR", "debug")


@dataclass
class Settings:
    """Everything has a default that works after ``cargo build``."""

    home: Path = ROOT / ".local"
    bin: Path = field(default_factory=target_dir)
    sweep: Path | None = None  # a bootstrap; default: bin/keywheel-sweep
    rotate: Path | None = None
    webhook: Path | None = None
    compare: Path | None = None
    audit: Path | None = None
    notify: Path | None = None
    emulator: Path | None = None  # default: bin/azure-emulator
    seed: Path | None = None  # what the tenant holds
    applications: int = 0  # made-up ones besides
    azure_faults: Path | None = None
    azure_random_seed: int = 0
    azure_replicas: int = 1
    manifest: Path | str | None = None  # a file, or its text; None: an empty manifest for the tenant
    permission: str = "Application.ReadWrite.All"
    read_audit: bool = True
    parameters: dict[str, str] = field(default_factory=dict)  # of the template
    prepare: Callable[[Any], dict[str, str]] | None = None  # makes what the stack needs; gives more parameters
    visibility: int | None = None  # of queues, in seconds, once deployed: Lambda takes no less than 300 before
    name: str = "keywheel"

    def function(self, name: str) -> Path:
        return getattr(self, name) or self.bin / f"keywheel-{name}"

"""``python -m keywheel_local up|down|demo``: what ``make up``, ``make down`` and ``make demo`` run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import demo
from .deployment import Failed
from .process import NotReady
from .settings import Settings
from .stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(prog="keywheel_local", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "demo"])
    parser.add_argument("--seed", type=Path, help="what the tenant holds")
    parser.add_argument("--applications", type=int, default=0, help="made-up applications besides")
    parser.add_argument("--azure-faults", type=Path, help="what goes wrong at Entra and Graph")
    parser.add_argument("--manifest", type=Path)
    chosen = vars(parser.parse_args())
    what = chosen.pop("what")
    if what == "demo":
        sys.exit(demo.main())
    stack = Stack(Settings(**chosen))
    if what == "down":
        stack.down()
        return
    try:
        stack.up()
    except (Failed, NotReady) as problem:
        sys.exit(str(problem))
    home = stack.settings.home
    print(f"Keywheel is up: AWS at {stack.env['AWS_ENDPOINT_URL']}, Entra at {stack.env['AZURE_AUTHORITY_HOST']}.\n"
          f"  . {home}/env   its environment, for aws, keywheel and you; then, for example:\n"
          f"  {stack.settings.bin / 'keywheel'} plan\n"
          f"  make down   ends it")


if __name__ == "__main__":
    main()

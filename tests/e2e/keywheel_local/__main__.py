"""``python -m keywheel_local up|down|clock|demo``: what the targets of these names in the Makefile run."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from pathlib import Path

from . import demo
from .deployment import Failed
from .process import NotReady
from .settings import Settings
from .stack import Stack

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> int:
    """Read ``24h11m`` as seconds."""
    if not re.fullmatch(r"(\s*\d+[smhd])+\s*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 24h11m, for example")
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="keywheel_local", description=__doc__)
    parser.add_argument("--home", type=Path, default=Settings.home, help="where its files are (.local)")
    commands = parser.add_subparsers(dest="what", required=True)
    up = commands.add_parser("up", help="start the whole system and leave it running")
    up.add_argument("--seed", type=Path, help="what the tenant holds")
    up.add_argument("--applications", type=int, default=0, help="made-up applications besides")
    up.add_argument("--azure-faults", type=Path, help="what goes wrong at Entra and Graph")
    up.add_argument("--manifest", type=Path, help="the manifest; {tenant} stands for the tenant's id")
    commands.add_parser("down", help="end what `up` started")
    clock = commands.add_parser("clock", help="let time pass, for Entra and for AWS")
    clock.add_argument("--by", type=duration, required=True, help="24h11m, for example")
    commands.add_parser("demo", help="see a fleet rotated")
    return parser.parse_args()


def up(settings: Settings) -> None:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {text}", flush=True)

    for named in (settings.seed, settings.manifest, settings.azure_faults):
        if isinstance(named, Path) and not named.is_file():
            sys.exit(f"{named} is no file")
    stack = Stack(settings, say)
    try:
        stack.up()
    except (Failed, NotReady) as problem:
        sys.exit(f"{problem}\nNothing is left running.")
    except KeyboardInterrupt:
        print("interrupted; nothing is left running", file=sys.stderr)
        sys.exit(130)
    say(f"Keywheel is up: AWS at {stack.env['AWS_ENDPOINT_URL']}, Entra at {stack.env['AZURE_AUTHORITY_HOST']}")
    print(f"  . {settings.home}/env   its environment, for aws, keywheel and you; then, for example:\n"
          f"  {settings.bin / 'keywheel'} plan\n"
          f"  make clock BY=24h11m   lets time pass\n"
          f"  make down   ends it")


def running(home: Path) -> Stack:
    """Find the system that ``up`` left running."""
    stack = Stack(Settings(home=home))
    environment = stack.settings.home / "env"
    if not environment.is_file():
        sys.exit("Nothing is running; `make up` starts the local system.")
    for line in environment.read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        stack.env[name] = shlex.split(value)[0] if value else ""
    return stack


def main() -> None:
    chosen = vars(arguments())
    match chosen.pop("what"):
        case "demo":
            sys.exit(demo.main())
        case "up":
            up(Settings(**chosen))
        case "down":
            print("The local system is ended." if Stack(Settings(**chosen)).down() else "Nothing was running.")
        case "clock":
            running(chosen["home"]).advance(chosen["by"])
            print("The clocks of Entra and AWS are ahead, and the functions' processes are ended.")


if __name__ == "__main__":
    main()

"""``make prove``: every promise as a figure, from the rules alone to the deployed system.

The rules are run through all that can happen to them (the model checker), then with deliberate mistakes in them, each
of which the model must catch. With ``--mutants`` one small mistake after the other is made in the code, for the fast
tests to catch. Then the deployed functions rotate a fleet while everything around them fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .settings import ROOT
from .torture import Result, say, torture

STATES = re.compile(r"^(?P<scenario>[^:\n]+): (?P<states>\d+) states, depth \d+$", re.MULTILINE)
MUTATION = re.compile(r"^(?P<how>caught|SURVIVED): (?P<mistake>.+)$", re.MULTILINE)
PROMISES = [  # "What must hold", and where each is looked at
    ("1 only what is proved becomes current; the current key stays", ("model", "refused sign-ins",
                                                                      "current secrets that do not sign in")),
    ("2 what was current works on for the overlap", ("model", "refused sign-ins")),
    ("3 foreign keys and the last key stay", ("model",)),
    ("4 no orphans after rest", ("model", "orphans after rest")),
    ("5 a secret's text is nowhere else", ("places that hold a secret's text",)),
    ("6 every change is on the record", ("model", "changes without a record", "events not in whole chains")),
    ("- a leaked secret is replaced, or a person is told", ("leaked secrets that nobody heeded",)),
    ("- every request is valid by the models of AWS's services", ("requests that AWS could not read",)),
]


def cargo(*arguments: str, faults: int) -> tuple[int, str]:
    """Run tests, built as `make test` builds them; their exit code and output."""
    environment = os.environ | {"KEYWHEEL_MODEL_FAULTS": str(faults)}
    done = subprocess.run(["cargo", "test", "--quiet", "--workspace", *arguments], cwd=ROOT, env=environment,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def rules(faults: int) -> tuple[list[tuple[str, int]], bool]:
    """States explored by scenario, and whether every promise held in each."""
    say(f"the rules through everything that can happen, up to {faults} fault(s) for two tries …")
    code, output = cargo("--test", "model", "--", "--nocapture", faults=faults)
    explored = [(match["scenario"], int(match["states"])) for match in STATES.finditer(output)]
    if code:
        say(output)
    return explored, code == 0 and bool(explored)


def mistakes() -> tuple[int, list[str], bool]:
    """Deliberate mistakes that the model caught, those it did not, and whether the check itself ran."""
    say("deliberate mistakes in the rules, one at a time …")
    code, output = cargo("--test", "mutations", "--", "--ignored", "--nocapture", faults=1)
    found = list(MUTATION.finditer(output))
    survived = [match["mistake"] for match in found if match["how"] == "SURVIVED"]
    if code:
        say(output)
    return len(found) - len(survived), survived, code == 0 and bool(found)


def mutants() -> dict[str, int] | None:
    """Mutants made, viable, caught, argued and survived; None if they could not be run."""
    say("a small mistake at each place of the code that the fast tests answer for …")
    path = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "mutants" / "report.json"
    path.unlink(missing_ok=True)
    # The exit code says whether one survives: here that is a figure.
    subprocess.run(["make", "--silent", "mutants"], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    report = json.loads(path.read_text()) if path.exists() else {}
    if not report.get("complete"):
        return None
    counts = report["all"]
    return {
        "made": counts["made"], "viable": counts["viable"], "caught": counts["caught"] + counts["timed_out"],
        "argued": counts["argued"], "survived": counts["survived"] + counts["unreached"],
    }


def table(explored: list[tuple[str, int]], held: bool, caught: int, survived: list[str],
          mutated: dict[str, int], result: Result) -> bool:
    """Print the figures; whether all is well."""
    states = sum(count for _, count in explored)
    say(f"\n{'PROMISE':<64}{'STATES':>10}{'ROTATIONS':>11}{'VIOLATIONS':>12}")
    broken = 0
    for promise, places in PROMISES:
        found = sum(len(result.violations.get(place, [])) for place in places) + ("model" in places and not held)
        broken += found
        looked = f"{states:>10}" if "model" in places else f"{'-':>10}"
        say(f"{promise:<64}{looked}{result.rotations:>11}{found:>12}")
    figures = {
        "scenarios of the model": len(explored), "deliberate mistakes caught": caught,
        "deliberate mistakes that survived": len(survived), "witness sign-ins": result.sign_ins,
        "witness sign-ins refused": len(result.violations["refused sign-ins"]),
        "orphans after rest": len(result.violations["orphans after rest"]),
    }
    if mutated:
        say(f"{'mutants: ' + ', '.join(mutated):<64}{', '.join(map(str, mutated.values())):>10}")
    for what, count in (figures | result.struck).items():
        say(f"{what:<64}{count:>10}")
    for where, found in result.violations.items():
        for one in found[:10]:
            say(f"{where}: {one}")
    return not broken and not survived


def main() -> None:
    parser = argparse.ArgumentParser(prog="keywheel_local.prove", description=__doc__)
    parser.add_argument("--rotations", type=int, default=1000)
    parser.add_argument("--applications", type=int, default=510)
    parser.add_argument("--faults", type=int, default=1, help="of the model's larger scenarios; 2 takes many minutes")
    parser.add_argument("--seed", type=int, default=1, help="of the dice that kill processes and spread changes")
    parser.add_argument("--mutants", action="store_true", help="count the mutants too: they take hours")
    chosen = parser.parse_args()
    explored, held = rules(chosen.faults)
    caught, survived, checked = mistakes()
    mutated = mutants() if chosen.mutants else {}
    say("the deployed functions, while everything around them fails …")
    with tempfile.TemporaryDirectory(prefix="keywheel-prove-") as home:
        result = torture(chosen.rotations, chosen.applications, chosen.seed, Path(home))
    well = table(explored, held, caught, survived, mutated or {}, result)
    sys.exit(0 if well and checked and mutated is not None else 1)


if __name__ == "__main__":
    main()

"""The README and docs/: every relative link and anchor resolves, and every command that a page names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("events/*.md"), *ROOT.glob("infra/*/*.md"),
                *ROOT.glob("functions/*/*.md"), *ROOT.glob("tests/*/*.md")})
BLOCK = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HELD = [page for page in PAGES if page.name != "CHANGELOG.md"]  # what there was may be gone
each = pytest.mark.parametrize("page", HELD, ids=lambda page: str(page.relative_to(ROOT)))


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page.read_text()))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


@cache
def anchors(page: Path) -> set[str]:
    """As GitHub and mdbook make them of headings."""
    titles = re.findall(r"^#+ +(.+?) *$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    plain = (LINK.sub("", re.sub(r"[`*]", "", title)) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


@each
def test_links_resolve(page: Path):
    for link in links(page):
        target, _, anchor = link.partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists() and place.is_relative_to(ROOT), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(place), f"{link}: {target or page.name} has no such heading"


def test_the_book_has_every_page_that_is_linked():
    summary = {(DOCS / link).resolve() for link in links(DOCS / "SUMMARY.md")}
    pages = {page for page in DOCS.glob("*.md") if page.name != "SUMMARY.md"}
    assert pages <= summary, "a page of docs/ is not in the summary"
    for page in summary:
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if not link.startswith("#")}
        assert {one for one in linked if one.suffix == ".md"} <= summary, f"{page}: links to pages outside the book"


# ---- commands ----------------------------------------------------------------------------------------------------
def code(page: Path) -> str:
    """What stands in blocks and between backticks; continued lines are one."""
    text = page.read_text()
    spans = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return "\n".join([*(block.group() for block in BLOCK.finditer(text)), *spans]).replace("\\\n", " ")


@cache
def run_help(*command: str) -> str:
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def keywheel(*subcommands: str) -> str:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return run_help(str(target / os.environ.get("KEYWHEEL_PROFILE_DIR", "debug") / "keywheel"), *subcommands)


def options(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)


@each
def test_make_targets_exist(page: Path):
    known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|[ (`&])make(?: -C \S+)? ([a-z][a-z0-9-]*)", code(page), re.MULTILINE)
    assert set(named) <= known


@each
def test_commands_of_keywheel_exist(page: Path):
    for found in re.finditer(r"^(?:.*[ /])?(?<!/)(?:target/debug/)?keywheel ([a-z].*)$", code(page), re.MULTILINE):
        if "/keywheel" in found.group().replace("target/debug/keywheel", ""):
            continue  # Slack's
        said = re.split(r" #|[|;>&)]", found[1])[0].split()
        name = said[:2] if said[0] == "audit" else said[:1]
        if len(said) == 1 and said[0] == "sweep":  # "keywheel sweep" is who asks, in the record
            continue
        told = keywheel(*(word for word in name if re.fullmatch("[a-z]+", word)))
        assert told, f"there is no {found[0]!r}"
        assert set(options(" ".join(said))) <= set(options(told)), found[0]


@each
def test_options_of_setup_exist(page: Path):
    known = set(options(run_help(sys.executable, str(ROOT / "infra/entra/setup.py"))))
    for said in re.findall(r"setup\.py(.*)", code(page)):
        assert set(options(said.partition(" #")[0].partition(",")[0])) <= known, said


@each
def test_outputs_of_the_stack_exist(page: Path):
    class Loader(yaml.SafeLoader):
        """CloudFormation's short forms are nothing to a reader of names."""

    Loader.add_multi_constructor("!", lambda *_: None)
    known = yaml.load((ROOT / "infra/template.yaml").read_text(), Loader)["Outputs"]
    named = re.findall(r"<output (\w+)>|outputs? `(\w+)`", page.read_text())
    assert {one or other for one, other in named} <= set(known)

"""What surrounds the code says what is true: commands, links, fragments, and nothing of the machine it was made on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAGMENT = re.compile(r"\d+(\.\d+)?\.(added|changed|fixed|removed|security)\.md")
# Spelled so that this file does not name them itself.
FOREIGN = re.compile(
    r"\bpypi\.o|python[h]osted|\bdeb\.deb|\bnpmjs\."  # package registries
    r"|[/]work[/](main|shared|steering|\.lib)|[/]root[/]\.py|[/]opt[/](wheels|pypi)"  # this machine
)


def committed() -> list[Path]:
    """Every file that is or would be committed; in an unpacked archive without git, every one that is not made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    return [file for name in names if name and (file := ROOT / name).is_file()] or _without_git()


def _without_git() -> list[Path]:
    tops = ("master", "workers", "tests", "docs", "projects", "requirements", ".ci", "changelog.d", "bench")
    return [
        *(file for file in ROOT.iterdir() if file.is_file()),
        *(
            file
            for top in tops
            for file in (ROOT / top).rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        ),
    ]


FILES = committed()
PAGES = [file for file in FILES if file.suffix == ".md"]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    commands = re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE)
    of_cpython = {"install"}
    assert set(commands) <= targets() | of_cpython


def test_the_readme_shows_both_commands_and_make_explains_every_target() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "\n    make demo\n" in readme
    assert "\n    make test\n" in readme
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert all(f"make {target} " in shown.stdout for target in targets())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in headings(target), f"{name(page)}: {link}"


def headings(page: Path) -> set[str]:
    lines = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines}


def test_every_page_of_the_documentation_can_be_found() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    }
    lost = [name(page) for page in PAGES if name(page).startswith("docs/") and page.resolve() not in linked]
    assert [page for page in lost if page != "docs/decisions/README.md"] == []


def test_fragments_are_named_after_issue_and_kind() -> None:
    fragments = [file for file in FILES if file.parent.name == "changelog.d"]
    assert fragments
    for fragment in fragments:
        assert FRAGMENT.fullmatch(fragment.name), f"{name(fragment)}: ISSUE.KIND.md"
        assert fragment.read_text("utf-8").strip(), f"{name(fragment)} is empty"


def test_no_file_names_a_registry_or_this_machine() -> None:
    found = []
    for file in FILES:
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{name(file)}: {match.group()}" for match in FOREIGN.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "address", ["https://" + "pypi" + ".org/simple", "/" + "work/main/x", "/" + "root/.pyenv"]
)
def test_what_is_looked_for_would_be_found(address: str) -> None:
    assert FOREIGN.search(address)


def test_every_rule_that_is_switched_off_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    ignored = tomllib.loads(text)["tool"]["ruff"]["lint"]["ignore"]
    explained = re.findall(r'^    "([A-Z]+[0-9]+)", +# \S', text, re.MULTILINE)
    assert ignored
    assert set(ignored) - set(explained) == set(), "write why, beside it"


@pytest.mark.parametrize("lock", ["dev", "wheelhouse"])
def test_locks_have_a_hash_for_everything_and_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    pinned = re.findall(r"^[a-z0-9][a-z0-9._-]*==.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
    assert not re.search(r"^(--|-f|-i)", text, re.MULTILINE)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"]
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["master"],
        *(entry for group in groups.values() for entry in group if isinstance(entry, str)),
    ]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE))
    names = {re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower() for requirement in asked}
    assert names - locked == set(), "run make lock"


def test_ci_runs_both_and_is_strict_about_skips() -> None:
    text = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in text
    assert "export PYBOTS_STRICT_SKIPS=1" in text
    assert text.index("make test") < text.index("make acceptance")
    assert (ROOT / ".ci/run").stat().st_mode & 0o111

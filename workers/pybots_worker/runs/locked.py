"""The text of a lock: distributions at one version each, the files that may be installed, and what builds what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

PROJECT = "the project"
"""Whose build requirements are under this name, and not under a distribution's label."""
_SECTION = "# to build "
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?"
_ENTRY = re.compile(
    rf"(?P<name>{_NAME})(?:==(?P<version>[A-Za-z0-9][A-Za-z0-9.+!_-]{{0,199}})| @ (?P<address>\S{{1,2000}}))(?: \\)?"
)
_ADDRESS = re.compile(r"git\+[a-z+]+://[^\s@][^\s]*@[0-9a-f]{40}(?:#\S+)?|(?:https?|file)://\S+")
_HASH = re.compile(r"\s+--hash=sha256:(?P<sha256>[0-9a-f]{64})(?: \\)?")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,250}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LockError(Exception):
    """A text is not a lock: the text says which line, and why."""


@dataclass(frozen=True, slots=True)
class File:
    """A wheel or an sdist. `address` is where it was found; it is no part of a lock."""

    name: str
    sha256: str
    address: str = field(default="", compare=False)

    def raise_unless_plain(self) -> None:
        """Raise LockError for what must not become a path: both are, in the store of downloads."""
        if not FILE_NAME.fullmatch(self.name) or not _SHA256.fullmatch(self.sha256):
            msg = f"{self.name[:100]!r} with sha256 {self.sha256[:100]!r} is no file's name with its digest"
            raise LockError(msg)

    @property
    def is_wheel(self) -> bool:
        """Whether it is installed as it is."""
        return self.name.endswith(".whl")


@dataclass(frozen=True, slots=True)
class Entry:
    """A distribution: `exact` is its version, or the address that it comes from (`git+URL@COMMIT`, an archive's)."""

    name: str
    exact: str
    files: tuple[File, ...] = ()

    @property
    def label(self) -> str:
        """How requirements name it: `attrs==26.1.0`."""
        return f"{self.name} @ {self.exact}" if "://" in self.exact else f"{self.name}=={self.exact}"

    @property
    def commit(self) -> str:
        """The commit in a git repository, and the folder below; empty where it does not come from one."""
        return self.exact.rpartition("@")[2] if self.exact.startswith("git+") else ""


def raise_unless_writable(entry: Entry) -> None:
    """Raise LockError where a lock could not hold this entry, and give it back as it is."""
    if _entry(entry.label) != replace(entry, files=()) or not (entry.files or entry.commit):
        msg = f"{entry.label[:100]!r} is not what a lock can name, or has no file"
        raise LockError(msg)
    for file in entry.files:
        file.raise_unless_plain()
        _check_file(entry, file.name)


def write_entries(entries: Iterable[Entry]) -> str:
    """Write entries as a requirements file that pip and uv read too; the files' names stand above, in a comment."""
    lines = []
    for entry in sorted(entries, key=lambda entry: entry.label):
        if entry.files:
            lines.append("# " + " ".join(file.name for file in entry.files))
        lines.append(
            " \\\n".join([entry.label, *(f"    --hash=sha256:{file.sha256}" for file in entry.files)])
        )
    return "".join(f"{line}\n" for line in lines)


def write_sections(sections: Mapping[str, Iterable[Entry]]) -> str:
    """Write the build requirements of each thing that is built, the project first."""
    names = sorted(sections, key=lambda name: (name != PROJECT, name))
    return "\n".join(f"{_SECTION}{name}\n{write_entries(sections[name])}" for name in names)


def read_entries(text: str) -> list[Entry]:
    """Read what `write_entries` wrote. Raises LockError."""
    return _read(text).get("", [])


def read_sections(text: str) -> dict[str, list[Entry]]:
    """Read what `write_sections` wrote. Raises LockError."""
    sections = _read(text)
    if sections.get(""):
        msg = f"{sections[''][0].label} comes before the first line that says `{_SECTION}...`"
        raise LockError(msg)
    sections.pop("", None)
    return sections


def _read(text: str) -> dict[str, list[Entry]]:
    reader, number = _Reader(), 0
    try:
        for number, line in enumerate(text.split("\n"), 1):  # noqa: B007  (it is told)
            reader.line(line)
        reader.end_entry()
    except LockError as error:
        msg = f"line {number}: {error}"
        raise LockError(msg) from None
    return reader.sections


class _Reader:
    def __init__(self) -> None:
        self.sections: dict[str, list[Entry]] = {}
        self._section = ""
        self._names: list[str] = []
        self._hashes: list[str] = []
        self._entry: Entry | None = None

    def line(self, line: str) -> None:
        if not line.strip():
            return
        if line.startswith(_SECTION):
            self.end_entry()
            self._section = line.removeprefix(_SECTION)
            self.sections.setdefault(self._section, [])
        elif line.startswith("# "):
            self.end_entry()
            self._names = line[2:].split(" ")
        elif (found := _HASH.fullmatch(line)) and self._entry:
            self._hashes.append(found["sha256"])
        else:
            self.end_entry()
            self._entry = _entry(line)

    def end_entry(self) -> None:
        """Put the entry together that has been read, if any."""
        if self._entry is None:
            return
        if len(self._names) != len(self._hashes):
            counts = f"{len(self._hashes)} hashes, and {len(self._names)} files in the line above it"
            msg = f"{self._entry.label} has {counts}"
            raise LockError(msg)
        if not self._names and not self._entry.commit:
            msg = f"{self._entry.label} has no hash"
            raise LockError(msg)
        files = tuple(map(File, self._names, self._hashes))
        for file in files:
            _check_file(self._entry, file.name)
        self.sections.setdefault(self._section, []).append(replace(self._entry, files=files))
        self._entry, self._names, self._hashes = None, [], []


def _entry(line: str) -> Entry:
    found = _ENTRY.fullmatch(line)
    if not found or (found["address"] and not _ADDRESS.fullmatch(found["address"])):
        msg = f"{line[:100]!r} is no requirement with a version, a commit or an address"
        raise LockError(msg)
    return Entry(canonicalize_name(found["name"]), found["version"] or found["address"])


def _check_file(entry: Entry, name: str) -> None:
    """A file's name says what is in it and becomes a path: it must be plain, and of this distribution."""
    if not FILE_NAME.fullmatch(name):
        msg = f"{name[:100]!r} is no file's name"
        raise LockError(msg)
    if not name.endswith(".whl"):
        return
    try:
        distribution = parse_wheel_filename(name)[0]
    except InvalidWheelFilename as error:
        raise LockError(str(error)) from error
    if distribution != entry.name:
        msg = f"the file {name} is not of {entry.name}"
        raise LockError(msg)

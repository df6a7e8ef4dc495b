"""Decides which apt sources may hold CPython's source package, from the system's own sources.

Only the distribution's main archive counts: a vendor's repository (a cloud's tools, a database's own builds)
has no CPython in it, and the demonstration has no business asking it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

ARCHIVE_FOLDER = re.compile(
    r"^(debian|raspbian|ubuntu|ubuntu-ports|devuan)(-(main|proxy|remote|mirror|archive))?$"
)
COMPONENTS = ("main", "universe")
POCKETS = re.compile(r"-(updates|security|backports|proposed|proposed-updates|backports-sloppy)$")
DEBIAN_ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable", "sid")
DEBIAN_CODENAMES = ("bullseye", "bookworm", "trixie", "forky", "duke")
"""Oldest first. A suite that does not exist yet is only a warning of apt's."""
OPTION_FIELDS = {
    "signed-by": "Signed-By",
    "trusted": "Trusted",
    "check-valid-until": "Check-Valid-Until",
    "allow-insecure": "Allow-Insecure",
}


@dataclass(frozen=True, slots=True)
class PackageSource:
    """One archive: where it is, which suites and components, and how it is trusted (deb822 field names)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class System:
    """What /etc/os-release says: `identity` is ID followed by ID_LIKE, `codename` may be empty."""

    identity: tuple[str, ...]
    codename: str = ""


def read_system(os_release: str) -> System:
    """Read the text of /etc/os-release."""
    values: dict[str, str] = {}
    for line in os_release.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    identity = (values.get("ID", ""), *values.get("ID_LIKE", "").split())
    return System(tuple(word for word in identity if word), values.get("VERSION_CODENAME", ""))


def parse_one_line(text: str) -> list[PackageSource]:
    """Read a `*.list` file: `deb [option=value] URI SUITE COMPONENT...`; other lines are left out."""
    found = []
    for line in text.splitlines():
        match = re.match(r"^\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match is None:
            continue
        options, uri, suite, components = match.groups()
        found.append(
            PackageSource(uri, (suite,), tuple(components.split()), _one_line_options(options or ""))
        )
    return found


def _one_line_options(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {OPTION_FIELDS[name.lower()]: value for name, _, value in pairs if name.lower() in OPTION_FIELDS}


def parse_deb822(text: str) -> list[PackageSource]:
    """Read a `*.sources` file; stanzas that say `Enabled: no` are left out."""
    found: list[PackageSource] = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").strip().lower() in {"no", "false", "0", "off", "without", "disable"}:
            continue
        options = {OPTION_FIELDS[name]: value for name, value in stanza.items() if name in OPTION_FIELDS}
        suites = tuple(stanza.get("suites", "").split())
        components = tuple(stanza.get("components", "").split())
        found.extend(
            PackageSource(uri, suites, components, options) for uri in stanza.get("uris", "").split()
        )
    return found


def _stanzas(text: str) -> Iterable[dict[str, str]]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] in {" ", "\t"} and name:
                fields[name] += "\n" + line  # a key that is written out in the file goes on over many lines
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def main_archives(system: System, sources: Iterable[PackageSource]) -> list[PackageSource]:
    """Of the system's *sources*, those of its own main archive; without security and third parties."""
    return [source for source in sources if _is_main_archive(system, source)]


def _is_main_archive(system: System, source: PackageSource) -> bool:
    address = urlsplit(source.uri)
    folder = address.path.rstrip("/").rpartition("/")[2].lower()
    if not ARCHIVE_FOLDER.match(folder) or "launchpad" in address.netloc:
        return False
    if not set(source.components) & set(COMPONENTS):
        return False
    own = {system.codename, *DEBIAN_ALIASES, *DEBIAN_CODENAMES, "devel"} - {""}
    return any(POCKETS.sub("", suite) in own for suite in source.suites)


def next_suites(system: System) -> tuple[str, ...]:
    """The suites after the system's own, in which a newer CPython may be."""
    if "ubuntu" in system.identity:
        return ("devel",)
    if "debian" not in system.identity:
        return ()
    if system.codename in DEBIAN_CODENAMES:
        return (*DEBIAN_CODENAMES[DEBIAN_CODENAMES.index(system.codename) + 1 :], "sid")
    return ("testing", "unstable")


def with_next_suites(system: System, sources: Iterable[PackageSource]) -> list[PackageSource]:
    """One source for each archive and kind of trust, with its own suites and the next ones."""
    merged: dict[tuple[str, tuple[tuple[str, str], ...]], PackageSource] = {}
    for source in main_archives(system, sources):
        key = (source.uri.rstrip("/"), tuple(sorted(source.options.items())))
        before = merged.get(key, replace(source, suites=(), components=()))
        merged[key] = replace(
            before,
            suites=_unique(before.suites + source.suites),
            components=_unique(before.components + tuple(c for c in source.components if c in COMPONENTS)),
        )
    following = next_suites(system)
    return [replace(source, suites=_unique(source.suites + following)) for source in merged.values()]


def _unique(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def as_deb822(sources: Iterable[PackageSource]) -> str:
    """The text of a `*.sources` file that asks for the source packages of *sources*."""
    stanzas = []
    for source in sources:
        lines = ["Types: deb-src", f"URIs: {source.uri}", f"Suites: {' '.join(source.suites)}"]
        if source.components:
            lines.append(f"Components: {' '.join(source.components)}")
        lines += [f"{name}: {value}" for name, value in sorted(source.options.items())]
        stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)

from __future__ import annotations

import pytest

from pybots.commands.demonstration.candidates import (
    Candidate,
    in_order,
    parse_showsrc,
    parse_version,
)


def candidate(version: str) -> Candidate:
    upstream = parse_version(version.rpartition("-")[0])
    assert upstream is not None
    package = f"python3.{upstream.minor}"
    return Candidate(package, version, upstream, f"{package}_{version}.orig.tar.xz", 1)


@pytest.mark.parametrize(
    ("there", "order"),
    [
        (
            ["3.13.5-2", "3.15.2-1", "3.14.9-1", "3.14.10-1", "3.13.15-1"],
            ["3.15.2-1", "3.14.10-1", "3.14.9-1", "3.13.15-1", "3.13.5-2"],
        ),
        (["3.11.2-6", "3.10.1-1", "3.9.2-1"], ["3.11.2-6"]),
        (["3.16.0~a2-1", "3.15.0~rc1-1", "3.14.1-1"], ["3.14.1-1", "3.16.0~a2-1", "3.15.0~rc1-1"]),
        (["3.13.5-2+deb13u5", "3.13.5-2"], ["3.13.5-2+deb13u5"]),
        ([], []),
    ],
)
def test_newest_first(there: list[str], order: list[str]) -> None:
    assert [chosen.version for chosen in in_order(map(candidate, there))] == order


@pytest.mark.parametrize(
    ("pinned", "order"),
    [("3.13.5", ["3.13.5-2"]), ("3.15.0rc1", ["3.15.0~rc1-1"]), ("3.13.4", []), ("3.10.1", ["3.10.1-1"])],
)
def test_a_pinned_version_is_the_only_one(pinned: str, order: list[str]) -> None:
    there = map(candidate, ["3.13.5-2", "3.15.0~rc1-1", "3.14.1-1", "3.10.1-1"])
    assert [chosen.version for chosen in in_order(there, parse_version(pinned))] == order


@pytest.mark.parametrize("text", ["", "3", "3.13", "4.0.0", "3.13.x", "3.13.1-2", " 3.13.1", "3.13.1+dfsg"])
def test_what_is_no_version(text: str) -> None:
    assert parse_version(text) is None


def test_versions_are_ordered_as_cpython_does() -> None:
    ordered = ["3.14.9", "3.15.0a1", "3.15.0a10", "3.15.0b1", "3.15.0rc2", "3.15.0", "3.15.1"]
    versions = [parse_version(text) for text in ordered]
    assert [str(version) for version in versions] == ordered
    assert versions == sorted(version for version in versions if version)


SHOWSRC = """\
Package: python3.13
Binary: python3.13, python3.13-venv
Version: 3.13.5-2+deb13u5
Build-Depends: debhelper-compat (= 11), python3.13:any <cross>
Files:
 aaaa 4298 python3.13_3.13.5-2+deb13u5.dsc
 0123456789abcdef 22856016 python3.13_3.13.5.orig.tar.xz
 bbbb 963 python3.13_3.13.5.orig.tar.xz.asc
 cccc 299640 python3.13_3.13.5-2+deb13u5.debian.tar.xz
Directory: pool/main/p/python3.13

Package: python3.13-doc-only
Version: 3.13.5-2
Files:
 aaaa 22856016 python3.13-doc-only_3.13.5.orig.tar.xz

Package: python3.12
Version: 3.12.1+dfsg-1
Files:
 aaaa 1 python3.12_3.12.1+dfsg.orig.tar.xz

Package: python3.14
Version: 3.14.1-1
Files:
 aaaa 1 python3.14_3.14.1-1.dsc
"""


def test_what_apt_prints_is_read() -> None:
    version = parse_version("3.13.5")
    assert version is not None
    assert parse_showsrc(SHOWSRC) == [
        Candidate("python3.13", "3.13.5-2+deb13u5", version, "python3.13_3.13.5.orig.tar.xz", 22856016)
    ]

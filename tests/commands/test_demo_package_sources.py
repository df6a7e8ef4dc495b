from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybots.commands.demonstration.package_sources import (
    PackageSource,
    System,
    as_deb822,
    main_archives,
    next_suites,
    parse_deb822,
    parse_one_line,
    read_system,
    with_next_suites,
)

KEYRING = {"Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg"}
BOOKWORM = System(("debian",), "bookworm")
NOBLE = System(("ubuntu", "debian"), "noble")

DEBIAN_SOURCES = """\
# See sources.list(5)
Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
UBUNTU_SOURCES = """\
Types: deb
URIs: http://archive.ubuntu.com/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Enabled: no
Types: deb-src
URIs: http://archive.ubuntu.com/ubuntu/
Suites: noble
Components: main
"""
KEY_IN_THE_FILE = """\
Types: deb
URIs: http://mirror.example.org/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYCQjIxYJKwYBBAHaRw8BAQdA
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_deb822_is_read_with_its_trust() -> None:
    assert parse_deb822(DEBIAN_SOURCES) == [
        PackageSource(
            "http://mirror.example.org/debian", ("bookworm", "bookworm-updates"), ("main",), KEYRING
        ),
        PackageSource(
            "http://mirror.example.org/debian-security", ("bookworm-security",), ("main",), KEYRING
        ),
    ]


def test_a_stanza_that_is_switched_off_is_left_out() -> None:
    assert [source.suites for source in parse_deb822(UBUNTU_SOURCES)] == [
        ("noble", "noble-updates", "noble-backports")
    ]


@pytest.mark.parametrize("word", ["no", "No", "false", "0", "off", "disable", "without"])
def test_all_of_apts_words_for_no(word: str) -> None:
    assert parse_deb822(f"Enabled: {word}\nTypes: deb\nURIs: http://x/debian\nSuites: sid\n") == []


def test_a_key_in_the_file_stays_whole() -> None:
    [source] = parse_deb822(KEY_IN_THE_FILE)
    again = as_deb822([source])
    assert parse_deb822(again) == [source]
    assert "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEYCQjIxYJKwYBBAHaRw8BAQdA\n" in again


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "deb http://mirror.example.org/debian bookworm main contrib # a note",
            PackageSource("http://mirror.example.org/debian", ("bookworm",), ("main", "contrib")),
        ),
        (
            "deb-src [signed-by=/k.gpg arch=amd64] http://mirror.example.org/debian sid main",
            PackageSource("http://mirror.example.org/debian", ("sid",), ("main",), {"Signed-By": "/k.gpg"}),
        ),
        (
            "deb [ trusted=yes ] file:/srv/packages ./",
            PackageSource("file:/srv/packages", ("./",), (), {"Trusted": "yes"}),
        ),
    ],
)
def test_one_line_sources_are_read(line: str, source: PackageSource) -> None:
    assert parse_one_line(f"\n# deb http://commented.out/debian sid main\n{line}\n") == [source]


@pytest.mark.parametrize(
    "source",
    [
        PackageSource("https://packages.cloud.google.com/apt", ("cloud-sdk-bookworm",), ("main",)),
        PackageSource("https://deb.nodesource.com/node_20.x", ("nodistro",), ("main",)),
        PackageSource("https://download.docker.com/linux/debian", ("bookworm",), ("stable",)),
        PackageSource("https://packages.microsoft.com/debian/12/prod", ("bookworm",), ("main",)),
        PackageSource("http://apt.postgresql.org/pub/repos/apt", ("bookworm-pgdg",), ("main",)),
        PackageSource("http://mirror.example.org/debian-security", ("bookworm-security",), ("main",)),
        PackageSource("http://ppa.launchpadcontent.net/deadsnakes/ppa/ubuntu", ("bookworm",), ("main",)),
        PackageSource("file:/srv/packages", ("./",), ()),
    ],
    ids=lambda source: source.uri,
)
def test_third_parties_are_not_asked(source: PackageSource) -> None:
    assert main_archives(BOOKWORM, [source]) == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://mirror.example.org/debian",
        "https://ftp.uk.debian.org/debian/",
        "http://mirror.example/pub/debian",
        "https://artifacts.example/repository/debian-remote",
        "mirror+https://example.org/debian",
    ],
)
def test_mirrors_of_the_main_archive_count(uri: str) -> None:
    source = PackageSource(uri, ("bookworm",), ("main",))
    assert main_archives(BOOKWORM, [source]) == [source]


@pytest.mark.parametrize(
    ("system", "suites"),
    [
        (BOOKWORM, ("trixie", "forky", "duke", "sid")),
        (System(("debian",), "trixie"), ("forky", "duke", "sid")),
        (System(("debian",), "a-later-one"), ("testing", "unstable")),
        (NOBLE, ("devel",)),
        (System(("fedora",), ""), ()),
    ],
)
def test_next_suites(system: System, suites: tuple[str, ...]) -> None:
    assert next_suites(system) == suites


def test_what_apt_is_asked_on_bookworm() -> None:
    assert as_deb822(with_next_suites(BOOKWORM, parse_deb822(DEBIAN_SOURCES))) == (
        "Types: deb-src\n"
        "URIs: http://mirror.example.org/debian\n"
        "Suites: bookworm bookworm-updates trixie forky duke sid\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_what_apt_is_asked_on_ubuntu() -> None:
    [source] = with_next_suites(NOBLE, parse_deb822(UBUNTU_SOURCES))
    assert source.suites == ("noble", "noble-updates", "noble-backports", "devel")
    assert source.components == ("main", "universe")


def test_lines_for_one_archive_are_asked_together() -> None:
    text = (
        "deb http://archive.ubuntu.com/ubuntu noble main\n"
        "deb http://archive.ubuntu.com/ubuntu noble universe\n"
        "deb http://archive.ubuntu.com/ubuntu/ noble-updates main\n"
    )
    [source] = with_next_suites(NOBLE, parse_one_line(text))
    assert (source.suites, source.components) == (
        ("noble", "noble-updates", "devel"),
        ("main", "universe"),
    )


def test_os_release() -> None:
    text = (
        'PRETTY_NAME="Ubuntu 24.04 LTS"\n# note\nID=ubuntu\nID_LIKE="debian other"\nVERSION_CODENAME=noble\n'
    )
    assert read_system(text) == System(("ubuntu", "debian", "other"), "noble")


@given(st.text(max_size=300))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for source in [*parse_one_line(text), *parse_deb822(text)]:
        assert isinstance(source.uri, str)
    read_system(text)

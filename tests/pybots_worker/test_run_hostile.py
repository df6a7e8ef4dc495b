"""Whatever a project writes, answers or plants: its run ends with a status that says so, and nothing of ours raises."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pybots_worker.bounded_log import BoundedLog
from pybots_worker.contract import Ending, Packages, Service
from pybots_worker.interpreters.folders import remove_tree
from pybots_worker.runs.installed import distributions, environment_digest
from pybots_worker.runs.lock import make_lock
from pybots_worker.runs.phases import RunEndedError, one_line
from pybots_worker.runs.place import WRITABLE, Place
from tiny_projects import PASSES, Bench, write_project, write_wheel


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    write_project(made.source, "tiny", tests=PASSES)
    return made


# --- what backends answer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asks", [("dep\n--index-url http://x",), ("\ud800",), ("",), (5,), (["dep"],), ("d" * 2000,), ("a\0b",)]
)
def test_backend_that_asks_for_what_is_no_requirement(bench: Bench, asks: tuple[Any, ...]) -> None:
    write_project(bench.source, "tiny", asks=asks)
    result, _ = bench.run()
    assert result.ending is Ending.INSTALL_FAILED
    assert "which is no requirement" in result.detail


@pytest.mark.parametrize("answer", ["[" * 200_000, "{", "\\ud800", "5"])
def test_backend_that_writes_its_answer_itself(bench: Bench, answer: str) -> None:
    code = (
        f"import json, os, sys; open(json.loads(sys.argv[1])['answer'], 'w').write({answer!r}); os._exit(0)"
    )
    write_project(bench.source, "tiny", code=code)
    result, _ = bench.run()
    assert result.ending is Ending.INSTALL_FAILED
    assert "the backend left no answer" in result.detail or "names no wheel" in result.detail


@pytest.mark.parametrize(
    "system",
    [
        f'requires = []\nbuild-backend = "{"b" * 200_000}"',
        'requires = ["a\\nb"]',
        'requires = [""]',
        "requires = " + "[" * 50_000,
    ],
)
def test_build_system_that_is_none(bench: Bench, system: str) -> None:
    (bench.source / "pyproject.toml").write_text(f"[build-system]\n{system}\n")
    result, _ = bench.run()
    assert (result.ending, "pyproject.toml is broken" in result.detail) == (Ending.INSTALL_FAILED, True), (
        result
    )


def test_source_whose_files_lead_nowhere(bench: Bench) -> None:
    (bench.source / "pyproject.toml").unlink()
    (bench.source / "pyproject.toml").symlink_to("n" * 300)
    result, _ = bench.run()
    assert (result.ending, "neither pyproject.toml nor" in result.detail) == (Ending.INSTALL_FAILED, True), (
        result.detail
    )


def test_requirements_may_be_written_sloppily(bench: Bench) -> None:
    write_wheel(bench.links, "dep", "1.0")
    write_project(bench.source, "tiny", build_requires=("dep >=\t1\n",), asks=(" dep<2\n",), tests=PASSES)
    result, _ = bench.run()
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result.detail


# --- what is planted ----------------------------------------------------------------------------------


PLANT = """
import os
place = os.path.join(os.path.dirname(os.environ["HOME"]), "work", {name!r})
if not os.path.lexists(place):
    {plant}
"""


@pytest.mark.parametrize(
    "plant",
    [
        "open(place, 'w').close()",
        "os.symlink('/etc', place)",
        "os.makedirs(place + '/x/y')",
        "os.mkfifo(place)",
    ],
)
def test_what_stands_where_the_wheel_is_built_to_is_replaced(bench: Bench, plant: str) -> None:
    """It is planted when the backend is first asked."""
    backend = bench.source / "backend.py"
    backend.write_text(PLANT.format(name="out", plant=plant) + backend.read_text())
    result, _ = bench.run()
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result.detail


def test_what_stands_where_a_service_works_is_replaced(bench: Bench) -> None:
    plant = PLANT.format(name="service", plant="open(place, 'w').close()")
    service = Service(start=["{python}", "-c", "import time; time.sleep(60)"], ready=["{python}", "-c", ""])
    result, _ = bench.run(service=service, install=[["{python}", "-c", plant]])
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result.detail


def test_environment_without_its_python_is_the_projects_fault(bench: Bench) -> None:
    gone = "import os, sys; os.unlink(sys.executable)"
    result, _ = bench.run(install=[["{python}", "-c", gone], ["{python}", "-c", ""]])
    assert result.ending is Ending.INSTALL_FAILED, result
    result, _ = bench.run(build_isolation=False, packages=Packages(offline=True))
    assert result.ending in {Ending.EXITED, Ending.INSTALL_FAILED}, result


def test_system_that_complains_of_the_projects_files_is_not_unfit(bench: Bench, tmp_path: Path) -> None:
    place = Place(bench.specification(), tmp_path / "run", tmp_path, BoundedLog(10, 10))
    theirs = str(place.venv / "bin" / "python")
    assert place.is_in_the_way(FileNotFoundError(2, "no such file", theirs))
    assert not place.is_in_the_way(OSError(28, "no space left", theirs))
    assert not place.is_in_the_way(FileNotFoundError(2, "no such file", str(place.ours / "uv.toml")))
    assert not place.is_in_the_way(PermissionError(13, "permission denied"))


def test_folders_that_were_taken_from_us_are_ours_again(bench: Bench, tmp_path: Path) -> None:
    place = Place(bench.specification(), tmp_path / "run", tmp_path, BoundedLog(10, 10))
    for name in WRITABLE[:-1]:
        (place.folder / name).mkdir(parents=True)
        (place.folder / name).chmod(0)
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (place.folder / WRITABLE[-1]).symlink_to(secret)
    place.open_again()
    assert {(place.folder / name).stat().st_mode & 0o777 for name in WRITABLE[:-1]} == {0o700}
    assert secret.stat().st_mode & 0o777 == 0o700


# --- what is installed --------------------------------------------------------------------------------


def installed(place: Place, name: str, direct_url: str | None = None) -> Path:
    folder = place.venv / "lib" / "python3.99" / "site-packages" / name
    folder.mkdir(parents=True)
    if direct_url is not None:
        (folder / "direct_url.json").write_text(direct_url)
    return folder


@pytest.fixture
def place(bench: Bench, tmp_path: Path) -> Place:
    return Place(bench.specification(), tmp_path / "run", tmp_path, BoundedLog(10, 10))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"url":' * 100_000,
        '{"url": "\\ud800"}',
        '{"url": "http://x\\n--index-url http://y"}',
        '{"url": "http://x/ y"}',
        '{"url": "u", "vcs_info": {"commit_id": "a b"}}',
        '{"url": "u", "vcs_info": {"commit_id": "a"}, "subdirectory": "\\ud800"}',
        '{"url": "u", "vcs_info": []}',
        "[]",
        "\ufeff{}",
    ],
)
def test_origin_that_is_none(place: Place, text: str) -> None:
    installed(place, "dep-1.0.dist-info", text)
    assert [(each.name, each.exact, each.address) for each in distributions(place.venv)] == [
        ("dep", "1.0", "")
    ]


@pytest.mark.parametrize("name", ["dep-1.0\nx==1.dist-info", "dep-1 0.dist-info", "dep-\udcff.dist-info"])
def test_folder_that_names_no_version_is_no_distribution(place: Place, name: str) -> None:
    installed(place, name)
    assert distributions(place.venv) == []
    assert environment_digest(place, [])


def test_environment_that_is_too_deep(place: Place) -> None:
    """1500 levels are more than os.walk recurses before Python 3.12; and then paths get too long for the kernel."""
    above = os.open(installed(place, "tiny-1.0.dist-info", json.dumps({"url": place.folder.as_uri()})), 0)
    for _ in range(1500):
        os.mkdir("d", dir_fd=above)
        below = os.open("d", os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    digest = environment_digest(place, [])
    assert len(digest) == 64
    for _ in range(20):
        os.mkdir("d" * 200, dir_fd=above)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    with pytest.raises(RunEndedError, match="cannot be read") as caught:
        environment_digest(place, [])
    assert caught.value.ending is Ending.ENVIRONMENT_FAILED
    remove_tree(place.folder)
    assert not place.folder.exists()


def test_install_step_that_plants_an_origin(bench: Bench) -> None:
    plant = (
        "import json, os, sysconfig\n"
        "folder = os.path.join(sysconfig.get_paths()['purelib'], 'dep-1.0.dist-info'); os.mkdir(folder)\n"
        "open(os.path.join(folder, 'direct_url.json'), 'w').write(json.dumps({'url': 'http://x/\\ud800'}))\n"
    )
    result, _ = bench.run(install=[["{python}", "-c", plant]])
    assert (result.ending, result.lock) == (Ending.EXITED, None), result


def test_folder_of_a_repository_that_lies_outside_of_it(bench: Bench) -> None:
    repository = write_project(bench.folder / "repository", "dep")
    names = ("-c", "user.name=T", "-c", "user.email=t@t.example")
    for arguments in (["init", "-q"], ["add", "."], [*names, "commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True)
    commit = done.stdout.decode().strip()
    wanted = [f"dep @ git+file://{repository}@{commit}"]
    lock = bench.run(requirements=wanted)[0].lock
    assert lock
    outside = [
        text.replace(commit, f"{commit}#subdirectory=../../home")
        for text in (lock.requirements, lock.build_constraints)
    ]
    result, _ = bench.run(requirements=wanted, lock=make_lock(*outside))
    assert (result.ending, "has no folder '../../home'" in result.detail) == (
        Ending.ENVIRONMENT_FAILED,
        True,
    ), result


# --- what is written and shown ------------------------------------------------------------------------


def test_every_detail_can_be_written_and_sent() -> None:
    error = RunEndedError(Ending.INSTALL_FAILED, "a\ud800\0b\n" * 1000)
    assert error.detail.encode()
    assert (str(error), len(error.detail)) == (error.detail, 500)
    assert one_line("\ud800") == "\\ud800"
    log = BoundedLog(100, 100)
    log.say("no lock: \ud800é\n")
    assert log.contents() == "no lock: \\ud800é\n".encode()


def test_suite_sees_no_password_of_the_owners_configuration(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv.toml is the worker's own, index and password; it is for the steps that download alone."""
    configuration = bench.folder / "home" / "uv" / "uv.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text('[[index]]\nurl = "https://me:secret@index.example/simple"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(configuration.parent.parent))
    monkeypatch.delenv("UV_CONFIG_FILE", raising=False)
    code = (
        "import os, sys\n"
        "for folder, _, files in os.walk(os.path.dirname(os.environ['HOME'])):\n"
        "  for name in files:\n"
        "    if b'me:sec' + b'ret' in open(os.path.join(folder, name), 'rb').read(): sys.exit(name)\n"
        "sys.exit('secret' in str(dict(os.environ)) or os.path.exists(sys.argv[1]))\n"
    )
    packages = Packages(find_links=[str(bench.links)])
    command = ["{python}", "-c", code, str(configuration)]
    result, folder = bench.run(packages=packages, command=command)
    assert (result.ending, result.exit_status) == (Ending.EXITED, 0), result
    assert "me:secret" in (folder / "ours" / "uv.toml").read_text()

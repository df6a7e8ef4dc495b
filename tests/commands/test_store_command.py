from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pybots.commands.main import main
from pybots.config.folder import FarmFolder
from pybots.interpreters.artifact_store import ArtifactStore
from store_files import manifest_of, pack_of, sha

FILES = {"a": b"a" * 5000}


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    kept = ArtifactStore(FarmFolder(tmp_path).store)
    kept.take_in_files(pack_of(*FILES.values()), manifest_of(FILES))
    kept.keep(manifest_of(FILES))
    return tmp_path


def test_verify_says_yes(farm: Path) -> None:
    done = CliRunner().invoke(main, ["store", "verify", str(farm)])
    assert (done.exit_code, done.stdout.startswith("1 artifacts of 1 files")) == (0, True), done.output
    assert "all as they should be" in done.stdout


def test_verify_says_no_and_names_it(farm: Path) -> None:
    digest, artifact = sha(FILES["a"]), manifest_of(FILES).digest()
    ArtifactStore(FarmFolder(farm).store).file_path(digest).unlink()
    done = CliRunner().invoke(main, ["store", "verify", str(farm)])
    assert done.exit_code == 1
    assert f"file {digest}: it is missing; needed by {artifact[:12]}" in done.stdout
    done = CliRunner().invoke(main, ["store", "verify", str(farm), "--json"])
    assert done.exit_code == 1
    (damage,) = json.loads(done.stdout)["damage"]
    assert damage == {"kind": "file", "digest": digest, "problem": "it is missing", "artifacts": [artifact]}


def test_show_says_how_large_it_is(farm: Path) -> None:
    done = CliRunner().invoke(main, ["show", str(farm), "store", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["artifacts"], said["files"], said["limit_bytes"]) == (1, 1, 20_000_000_000)
    assert said["stored_bytes"] > 0
    assert "1 artifacts of 1 files" in CliRunner().invoke(main, ["show", str(farm), "store"]).stdout

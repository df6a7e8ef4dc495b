"""Talks to the file system: bounded reads of TOML files into models, and atomic writes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from pybots.config.problems import ConfigurationError, Problem, of_syntax, of_validation
from pybots.config.toml_lines import KeyPath, lines_of

DEEPEST_KEY = 100
_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_DEEP_KEY = re.compile(rf"(?<![\w.-])(?:{_KEY_PART}){{{DEEPEST_KEY - 1}}}")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TomlFile(Generic[Model]):
    """A TOML file that was read: what it says, the sha256 of its bytes, and the line of each key."""

    content: Model
    digest: str
    lines: dict[KeyPath, int]


def read_toml(path: Path, model: type[Model], *, name: str, largest: int) -> TomlFile[Model]:
    """Return the file at *path*, of at most *largest* bytes, as *model*; problems call it *name*.

    Raises ConfigurationError, whatever is at *path*.
    """
    try:
        content = read_bounded(path, largest)
        text = content.decode()
        _refuse_deep_keys(text, name)
        values = tomllib.loads(text)
    except OSError as error:
        raise _refused(name, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(name, "this is not UTF-8", "save the file as UTF-8", line) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([of_syntax(error, name, text)]) from error
    except RecursionError as error:
        raise _refused(name, "tables or lists are nested too deeply") from error
    except ValueError as error:
        # A number with thousands of digits.
        raise _refused(name, str(error)) from error
    lines = lines_of(text)
    try:
        return TomlFile(model.model_validate(values), hashlib.sha256(content).hexdigest(), lines)
    except ValidationError as error:
        raise ConfigurationError(of_validation(error, model, name, lines)) from error


def _refuse_deep_keys(text: str, name: str) -> None:
    # tomllib takes time by the square of a key's parts: minutes for a dotted key of 256 kB.
    match = _DEEP_KEY.search(text)
    if match:
        line = text.count("\n", 0, match.start()) + 1
        raise _refused(
            name, f"a key has {DEEPEST_KEY} parts or more", "no key here has more than three", line
        )


def read_bounded(path: Path, largest: int) -> bytes:
    """Return the bytes of a regular file; raises OSError for anything else, or above *largest* bytes."""
    # Without O_NONBLOCK a named pipe would wait for a writer.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest} bytes")
    return content


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at *path* in one step: whoever reads it sees the old content or all of the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Only then does the new name outlive a power cut.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(name: str, what: str, hint: str = "", line: int | None = None) -> ConfigurationError:
    return ConfigurationError([Problem(name, line, "", what, hint)])

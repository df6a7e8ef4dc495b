"""Shows what an installed interpreter can do where it is now; runs under the interpreter that is proven.

`pybots_proof.py FOLDER` does everything, in a folder of its own; `--quick` only imports. `--library FOLDER` is for an
interpreter that differs from a proven one in files of the library alone. It needs no compiler: it builds no extension,
since headers, binaries and sysconfig's facts are byte for byte those with which one was built; and it does not have
ensurepip put pip into an environment, since pip's wheel and ensurepip are those that did. It uses the library that may
have changed, though: every extension module is imported, and pip installs a wheel into a new environment.

pip takes longer than all else of that together: it does its work in a fork, while the rest is done.

It prints one JSON object: `version`, `cache_tag`, `prefix`, `modules` (imported), `missing` ([{module, package, error,
required, built}]) and `checks` ({name: "ok" or what went wrong}). Standard library only; every Python from 3.9 on.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STEP_SECONDS = 600

REQUIRED = {
    "_ctypes": "libffi-dev",
    "_decimal": "libmpdec-dev",
    "_hashlib": "libssl-dev",
    "_json": "",
    "_multiprocessing": "",
    "_socket": "",
    "_sqlite3": "libsqlite3-dev",
    "_ssl": "libssl-dev",
    "_struct": "",
    "bz2": "libbz2-dev",
    "ctypes": "libffi-dev",
    "decimal": "",
    "hashlib": "libssl-dev",
    "json": "",
    "lzma": "liblzma-dev",
    "multiprocessing": "",
    "pyexpat": "libexpat1-dev",
    "sqlite3": "libsqlite3-dev",
    "ssl": "libssl-dev",
    "uuid": "",
    "zlib": "zlib1g-dev",
}
"""Without one of these an interpreter is not fit to test anybody's project."""

NOTED = {
    "_curses": "libncurses-dev",
    "_dbm": "libgdbm-compat-dev",
    "_gdbm": "libgdbm-dev",
    "_tkinter": "tk-dev",
    "_uuid": "uuid-dev",
    "curses": "libncurses-dev",
    "dbm.gnu": "libgdbm-dev",
    "dbm.ndbm": "libgdbm-compat-dev",
    "readline": "libreadline-dev",
    "tkinter": "tk-dev",
}
"""These may be missing; but what was built must import."""

if sys.version_info >= (3, 14):
    NOTED["compression.zstd"] = NOTED["_zstd"] = "libzstd-dev"

EXTENSION = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL}
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "pybots_extension", NULL, 0, methods, slots, NULL, NULL, NULL
};
PyMODINIT_FUNC PyInit_pybots_extension(void) { return PyModuleDef_Init(&definition); }
"""


class NotProven(Exception):
    """A check failed; the text says how."""


def main(arguments: list[str]) -> int:
    """Do the checks that are asked for, and print what was seen."""
    chosen = {"--quick": {}, "--library": LIBRARY_CHECKS}.get(arguments[0], CHECKS)
    wheel = begin(check_wheel, arguments[-1]) if "wheel" in chosen else None
    missing = []
    modules = []
    for name in sorted(REQUIRED) + sorted(NOTED):
        error = import_error(name)
        if error:
            missing.append(describe_missing(name, error))
        else:
            modules.append(name)
    checks = {"place": attempt(check_place)}
    for name, check in chosen.items():
        checks[name] = wheel() if wheel and name == "wheel" else attempt(check, arguments[-1])
    facts = {
        "version": " ".join(sys.version.split()),
        "cache_tag": sys.implementation.cache_tag or "",
        "prefix": sys.prefix,
        "modules": modules,
        "missing": missing,
        "checks": checks,
    }
    print(json.dumps(facts))
    return 0


def import_error(name: str) -> str:
    """Import a module; return why it cannot be, or an empty text."""
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  (a broken module may raise anything)
        return describe(error)
    return ""


def describe(error: BaseException) -> str:
    """Return an exception in at most 400 characters, all of which can be printed."""
    text = f"{type(error).__name__}: {error}"
    return text.encode("utf-8", "replace").decode()[:400]


def describe_missing(name: str, error: str) -> dict[str, Any]:
    """Return what is known of a module that cannot be imported."""
    required = name in REQUIRED
    return {
        "module": name,
        "package": REQUIRED.get(name) or NOTED.get(name) or "",
        "error": error,
        "required": required,
        "built": was_built(name),
    }


def was_built(name: str) -> bool:
    """Whether there is an extension module of this name in the installation."""
    folder = sysconfig.get_config_var("DESTSHARED") or ""
    folders = [path for path in sys.path if os.path.basename(path) == "lib-dynload"] or [folder]
    for path in folders:
        if os.path.isdir(path) and any(file.split(".")[0] == name for file in os.listdir(path)):
            return True
    return name in sys.builtin_module_names


def attempt(check: Callable[..., None], *arguments: str) -> str:
    """Run a check; return "ok", or what went wrong."""
    try:
        check(*arguments)
    except BaseException as error:  # noqa: BLE001
        return describe(error)
    return "ok"


def begin(check: Callable[..., None], *arguments: str) -> Callable[[], str]:
    """Begin a check in a fork, before there is any thread; what is returned waits for its result."""
    if not hasattr(os, "fork"):
        return lambda: attempt(check, *arguments)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = attempt(check, *arguments)
        os.write(writing, said.encode())
        sys.stderr.flush()
        os._exit(0)
    os.close(writing)

    def end() -> str:
        with open(reading, encoding="utf-8") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        return said or f"the process of the check ended without a word, with status {status}"

    return end


def check_place() -> None:
    """Everything that was imported comes from where the interpreter is now."""
    here = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(sys.executable)), os.pardir))
    if os.path.realpath(sys.prefix) != here:
        raise NotProven(f"sys.prefix is {sys.prefix}, and the interpreter is in {here}")
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and path != __file__ and not os.path.realpath(path).startswith(here + os.sep):
            raise NotProven(f"{name} was imported from {path}, and the interpreter is in {here}")


def check_pip(folder: str) -> None:
    """Pip starts."""
    run([sys.executable, "-I", "-B", "-m", "pip", "--version"], folder)


def check_venv(folder: str) -> None:
    """A virtual environment with pip can be made, and its pip starts."""
    environment = os.path.join(folder, "environment")
    run([sys.executable, "-I", "-B", "-m", "venv", environment], folder)
    python = os.path.join(environment, "bin", "python")
    output = run([python, "-I", "-c", "import sys; print(sys.prefix)"], folder)
    if os.path.realpath(output.strip()) != os.path.realpath(environment):
        raise NotProven(f"the environment's Python says that its prefix is {output.strip()}")
    run([python, "-I", "-m", "pip", "--version"], folder)


def check_wheel(folder: str) -> None:
    """A virtual environment can be made, and pip installs a wheel into it."""
    import importlib.util  # noqa: PLC0415

    environment = os.path.join(folder, "environment")
    run([sys.executable, "-I", "-B", "-m", "venv", "--without-pip", environment], folder)
    python = os.path.join(environment, "bin", "python")
    found = importlib.util.find_spec("pip")
    if found is None or not found.origin:
        raise NotProven("there is no pip")
    options = ["install", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
    run([python, "-I", "-B", os.path.dirname(found.origin), *options, make_wheel(folder)], folder)
    code = "import sys, pybots_wheel; print(pybots_wheel.answer(), sys.prefix)"
    answer, _, prefix = run([python, "-I", "-B", "-c", code], folder).strip().partition(" ")
    if answer != "42" or os.path.realpath(prefix) != os.path.realpath(environment):
        raise NotProven(f"the wheel's answer is {answer}, from {prefix}")


def make_wheel(folder: str) -> str:
    """Write a wheel that holds one module, and return its path."""
    import zipfile  # noqa: PLC0415

    files = {
        "pybots_wheel.py": "def answer():\n    return 42\n",
        "pybots_wheel-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: pybots-wheel\nVersion: 1\n",
        "pybots_wheel-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "pybots_wheel-1.dist-info/RECORD"
    files[record] = "".join(f"{name},,\n" for name in [*files, record])
    path = os.path.join(folder, "pybots_wheel-1-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def check_extensions(folder: str) -> None:
    """Every extension module that was built imports: else the build would have set it aside."""
    built = [path for path in sys.path if os.path.basename(path) == "lib-dynload" and os.path.isdir(path)]
    names = sorted({name.split(".")[0] for path in built for name in os.listdir(path)})
    names = [name for name in names if name.isidentifier() and name not in sys.modules]
    code = "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\n"
    run([sys.executable, "-I", "-B", "-W", "ignore", "-c", code, *names], folder)


def check_extension(folder: str) -> None:
    """A C extension compiles against the installed headers, and imports."""
    source = os.path.join(folder, "pybots_extension.c")
    with open(source, "w", encoding="utf-8") as stream:
        stream.write(EXTENSION)
    library = os.path.join(folder, "pybots_extension" + sysconfig.get_config_var("EXT_SUFFIX"))
    headers = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    for command in (
        words("CC") + words("CFLAGS") + words("CCSHARED") + headers + ["-c", source, "-o", source + ".o"],
        [*words("LDSHARED"), source + ".o", "-o", library],
    ):
        run(command, folder)
    code = f"import sys; sys.path.insert(0, {folder!r}); import pybots_extension; print(pybots_extension.answer())"
    if run([sys.executable, "-I", "-B", "-c", code], folder).strip() != "42":
        raise NotProven("the extension did not answer 42")


def check_tls(folder: str) -> None:
    """A TLS context can be made."""
    import ssl  # noqa: PLC0415

    ssl.create_default_context()


def check_sqlite(folder: str) -> None:
    """A row goes into a database file, and comes back."""
    import sqlite3  # noqa: PLC0415

    path = os.path.join(folder, "proof.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("create table numbers (number integer)")
    connection.execute("insert into numbers values (42)")
    connection.commit()
    connection.close()
    connection = sqlite3.connect(path)
    rows = connection.execute("select number from numbers").fetchall()
    connection.close()
    if rows != [(42,)]:
        raise NotProven(f"the database holds {rows!r}")


def check_threads(folder: str) -> None:
    """A thread runs, and a lock that processes can share can be made."""
    import multiprocessing  # noqa: PLC0415

    done: list[int] = []
    with multiprocessing.Lock():
        thread = threading.Thread(target=done.append, args=(1,))
        thread.start()
        thread.join(STEP_SECONDS)
    if done != [1]:
        raise NotProven("the thread did not run")


def check_subprocess(folder: str) -> None:
    """The interpreter starts itself."""
    if run([sys.executable, "-I", "-B", "-c", "print(6 * 7)"], folder).strip() != "42":
        raise NotProven("the child did not print 42")


CHECKS = {
    "pip": check_pip,
    "venv": check_venv,
    "extension": check_extension,
    "tls": check_tls,
    "sqlite": check_sqlite,
    "threads": check_threads,
    "subprocess": check_subprocess,
}
LIBRARY_CHECKS = {
    "extensions": check_extensions,
    "wheel": check_wheel,
    "tls": check_tls,
    "sqlite": check_sqlite,
    "threads": check_threads,
    "subprocess": check_subprocess,
}
"""What `--library` does; what it leaves out is said above."""


def words(name: str) -> list[str]:
    """Return one of sysconfig's commands or flags as a list of words."""
    return shlex.split(sysconfig.get_config_var(name) or "")


def run(command: list[str], folder: str) -> str:
    """Run a command in the folder and return its standard output; where it fails, all goes to our standard error.

    What it says on standard error, as any Python may with a warning, is no part of its answer.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=STEP_SECONDS,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace")
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        sys.stderr.write(f"$ {' '.join(command)}\n{output}\n{said}\n")
        last = ((said.strip() or output.strip()).splitlines() or ["without a word"])[-1]
        raise NotProven(f"{os.path.basename(command[0])} exited with status {done.returncode}: {last}")
    return output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

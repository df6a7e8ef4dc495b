"""Byte-compiles a library so that no file's result depends on the order, or on what else is compiled.

`pybots_compile.py ROOT INSTALLED_AT PROCESSES EVERYTHING [CHANGED]` compiles the files that the list CHANGED names (one
a line, relative to ROOT), or all that EVERYTHING names; INSTALLED_AT is what tracebacks say for ROOT. Exit status 1
where a file could not be compiled.

marshal marks what is referred to more than once, in the whole process: the same source compiled after another one
gives another .pyc. So each file is compiled in a fork of its own, all from one state: that of a process that has
imported nothing but what is frozen or built in, and its encodings, those always from their sources. Where one of the
latter changed, so did the state: then everything is compiled. Standard library only; every Python from 3.9 on.
"""

import _imp
import marshal
import posix
import sys

import _frozen_importlib_external as machinery

CACHE = "__pycache__"


def main(arguments: list[str]) -> int:
    """Compile what is asked for."""
    root, installed_at, processes, everything = arguments[:4]
    names = lines(everything)
    if len(arguments) > 4:
        changed = lines(arguments[4])
        if not used(root).intersection(changed):
            names = changed
    return 1 if compile_all(root, installed_at, int(processes), names) else 0


def lines(path: str) -> list[str]:
    """Return the lines of a file; not by open(), which may import encodings."""
    return read(path).decode("utf-8", "surrogateescape").splitlines()


def used(root: str) -> set[str]:
    """Return the files of the library that this process consists of."""
    paths = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
    return {path[len(root) + 1 :] for path in paths if path.startswith(root + "/")}


def compile_all(root: str, installed_at: str, processes: int, names: list[str]) -> int:
    """Compile each file in a fork; return how many could not be."""
    failed = running = 0
    for name in names:
        if running == processes:
            failed += posix.wait()[1] != 0
            running -= 1
        if posix.fork() == 0:
            compile_alone(root, installed_at, name)
        running += 1
    while running:
        failed += posix.wait()[1] != 0
        running -= 1
    return failed


def compile_alone(root: str, installed_at: str, name: str) -> None:
    """Compile one file, and end this process."""
    status = 1
    try:
        compile_one(root, installed_at, name)
        status = 0
    except BaseException as error:  # noqa: BLE001
        posix.write(2, f"{name}: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        posix._exit(status)


def compile_one(root: str, installed_at: str, name: str) -> None:
    """Write the .pyc of one file, which is never checked against its source."""
    source = read(f"{root}/{name}")
    code = compile(source, f"{installed_at}/{name}", "exec", dont_inherit=True, optimize=0)
    source_hash = _imp.source_hash(int.from_bytes(machinery.MAGIC_NUMBER, "little"), source)
    content = machinery.MAGIC_NUMBER + (1).to_bytes(4, "little") + source_hash + marshal.dumps(code)
    folder, _, file = f"{root}/{name}".rpartition("/")
    try:  # noqa: SIM105  (contextlib is no builtin module)
        posix.mkdir(f"{folder}/{CACHE}")
    except FileExistsError:
        pass
    target = f"{folder}/{CACHE}/{file.rpartition('.')[0]}.{sys.implementation.cache_tag}.pyc"
    write(f"{target}.{posix.getpid()}", content)
    posix.replace(f"{target}.{posix.getpid()}", target)


def read(path: str) -> bytes:
    """Return the content of a file."""
    handle = posix.open(path, posix.O_RDONLY)
    try:
        chunks = []
        while chunk := posix.read(handle, 1 << 20):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        posix.close(handle)


def write(path: str, content: bytes) -> None:
    """Write a new file."""
    handle = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o644)
    try:
        while content:
            content = content[posix.write(handle, content) :]
    finally:
        posix.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

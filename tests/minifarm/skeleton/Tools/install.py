# ruff: noqa: PTH100, PTH103, PTH112, PTH118, PTH119, PTH123, PTH211, UP031
"""Installs the miniature: the base interpreter's files, and over them what this repository has."""

import os
import re
import runpy
import shutil
import sys
import sysconfig

DROPPED = {
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "dist-packages",
    "pydoc_data",
    "distutils",
    "msilib",
    "idle_test",
    "xmlrpc",
    "wsgiref",
    "_pydecimal.py",
    "_pyio.py",
    "turtle.py",
    "pickletools.py",
    "mailbox.py",
    "imaplib.py",
    "nntplib.py",
    "smtpd.py",
}
DROPPED_KINDS = re.compile(
    r"config-|_test|_ctypes_test|_codecs_|(cp(?!437|1252)|mac_|iso8859_(?!15?\.)|koi8|ptcp|kz)"
)
DEBUG = re.compile(r"('Py_DEBUG': )0")
SOURCE = re.compile(r"('abs_srcdir': )'[^']*'")


def drop(folder, names):
    """Leave out what takes room and time, and is no part of what the tests need."""
    return [
        name for name in names if name in DROPPED or name.startswith(("config-", "_test", "_ctypes_test"))
    ]


def main(destdir, prefix, pydebug, *extensions):
    """Install into DESTDIR/prefix."""
    root = destdir + prefix
    name = "python%d.%d" % sys.version_info[:2]
    library = os.path.join(root, "lib", name)
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=drop)
    if sysconfig.get_path("platstdlib") != sysconfig.get_path("stdlib"):
        shutil.copytree(sysconfig.get_path("platstdlib"), library, ignore=drop, dirs_exist_ok=True)
    shutil.copytree(sysconfig.get_path("include"), os.path.join(root, "include", name))
    if os.path.isdir("Include"):
        shutil.copytree("Include", os.path.join(root, "include", name), dirs_exist_ok=True)
    os.makedirs(packages(library))
    binaries = os.path.join(root, "bin")
    os.makedirs(binaries)
    shutil.copy(os.path.realpath(sys.executable), os.path.join(binaries, name))
    os.symlink(name, os.path.join(binaries, "python3"))
    shutil.copytree("Lib", library, ignore=unknown_to_make, dirs_exist_ok=True)
    shutil.copy("frozen.txt", library)
    for extension in extensions:
        shutil.copy(extension, os.path.join(library, "lib-dynload"))
    mark(library, pydebug)
    install_pip(library)


def unknown_to_make(folder, names):
    """Leave out what `make install` does: all but modules in Lib/ itself, and its rubbish elsewhere."""
    if folder == "Lib":
        return [
            name
            for name in names
            if not name.endswith(".py") and not os.path.isdir(os.path.join(folder, name))
        ]
    return [name for name in names if name.endswith((".orig", "~")) or name.startswith(".")]


def packages(library):
    """Return where packages go: Debian's own Python looks in dist-packages."""
    return os.path.join(library, os.path.basename(sysconfig.get_path("purelib")))


def mark(library, pydebug):
    """Make the variant visible, and where it was built, as a real build does in sysconfig's data."""
    data = sysconfig._get_sysconfigdata_name() + ".py"
    path = os.path.join(library, data)
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    with open(path, "w", encoding="utf-8") as stream:
        text = DEBUG.sub(r"\g<1>" + pydebug, text)
        stream.write(SOURCE.sub(lambda found: found.group(1) + repr(os.path.abspath(".")), text))


def install_pip(library):
    """Have the miniature's own ensurepip install its pip."""
    install = runpy.run_path(os.path.join("Lib", "ensurepip", "__init__.py"))["install_into"]
    install(packages(library))


if __name__ == "__main__":
    main(*sys.argv[1:])

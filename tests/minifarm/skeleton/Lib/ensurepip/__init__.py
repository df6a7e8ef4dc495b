# ruff: noqa: PTH103, PTH118, PTH123
"""The miniature's ensurepip: its pip can say its version, and unpack a wheel."""

import os
import sysconfig

PIP = """
import sys, sysconfig, zipfile
if "install" in sys.argv:
    zipfile.ZipFile(sys.argv[-1]).extractall(sysconfig.get_path("purelib"))
else:
    print('pip 0 (the miniature)')
"""


def install_into(folder):
    """Write the package pip."""
    os.makedirs(os.path.join(folder, "pip"), exist_ok=True)
    for name, text in (("__init__.py", ""), ("__main__.py", PIP)):
        with open(os.path.join(folder, "pip", name), "w", encoding="utf-8") as stream:
            stream.write(text)


def main():
    """Install for the interpreter that runs this."""
    install_into(sysconfig.get_path("purelib"))

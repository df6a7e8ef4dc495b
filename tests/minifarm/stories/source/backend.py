"""A build backend in the source itself: Python modules as they are, NAME.c compiled against the headers there are."""

import pathlib
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

PROJECT = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".format(**PROJECT)
WHEEL = "Wheel-Version: 1.0\nGenerator: mini\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"


def compiled(source):
    """Compile one extension module."""
    target = pathlib.Path(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))
    include = sysconfig.get_path("include", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix})
    command = ["cc", "-shared", "-fPIC", "-O0", "-I" + include, str(source), "-o", str(target)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr + "error: command 'cc' failed with exit code 1")
    return target


def tag(extensions):
    """Name the interpreters that the wheel is for."""
    if not extensions:
        return "py3-none-any"
    python = "cp{}{}".format(*sys.version_info)
    return "-".join([python, python, sysconfig.get_platform().replace("-", "_").replace(".", "_")])


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build the wheel of the source in the current folder."""
    here = pathlib.Path()
    extensions = [compiled(source) for source in sorted(here.glob("*.c"))]
    own = [path for path in sorted(here.glob("*.py")) if not path.name.startswith(("backend.", "test_"))]
    name = PROJECT["name"].replace("-", "_") + "-" + PROJECT["version"]
    target = pathlib.Path(wheel_directory, f"{name}-{tag(extensions)}.whl")
    with zipfile.ZipFile(target, "w") as wheel:
        for path in [*own, *extensions]:
            wheel.write(path, path.name)
        requires = "".join(f"Requires-Dist: {line}\n" for line in PROJECT["dependencies"])
        wheel.writestr(f"{name}.dist-info/METADATA", METADATA + requires)
        facts = WHEEL.format(pure=str(not extensions).lower(), tag=tag(extensions))
        wheel.writestr(f"{name}.dist-info/WHEEL", facts)
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    return target.name


def build_sdist(sdist_directory, config_settings=None):
    """Build none: sources are given."""
    raise NotImplementedError

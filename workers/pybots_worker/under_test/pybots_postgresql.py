"""Runs a PostgreSQL of one's own, in a folder of its own: `start` and `ready` of a recipe's `[service]`.

    start = ["{python}", "-m", "pybots_postgresql", "--programs={service}/.../bin", "--sql=create extension hstore"]
    ready = ["{python}", "-m", "pybots_postgresql", "--programs={service}/.../bin", "--is-ready"]

It listens on 127.0.0.1 alone, keeps nothing on disk longer than it has to, and speaks UTC. Standard library only,
and works on every Python from 3.9.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def main() -> None:
    """Make the server's folder and become the server, or ask whether it is ready."""
    options = _options()
    if options.is_ready:
        _become(options, "pg_isready", "--host=127.0.0.1", "--port=%d" % options.port, "--timeout=5")
    folder = tempfile.mkdtemp(prefix="pg-")  # short: a socket's path in it holds 107 bytes
    data = os.path.join(folder, "data")
    _initialise(options, folder, data)
    for statement in options.sql:
        _run(
            options, "postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres", stdin=statement
        )
    _become(options, "postgres", "-D", data)


def _initialise(options: argparse.Namespace, folder: str, data: str) -> None:
    password = os.path.join(folder, "password")
    with open(password, "w", encoding="utf-8") as file:
        file.write(options.password + "\n")
    _run(
        options, "initdb", "--pgdata=" + data, "--username=" + options.user, "--pwfile=" + password,
        "--encoding=UTF8", "--no-locale", "--no-sync", "--auth=trust",
    )  # fmt: skip
    settings = dict(SETTINGS, port=str(options.port), unix_socket_directories=folder)
    settings.update(item.split("=", 1) for item in options.set)
    with open(os.path.join(data, "postgresql.conf"), "a", encoding="utf-8") as file:
        file.writelines("%s = '%s'\n" % (name, value.replace("'", "''")) for name, value in settings.items())
    if options.hba:
        with open(os.path.join(data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in options.hba)


def _run(options: argparse.Namespace, program: str, *arguments: str, stdin: str = "") -> None:
    command = [os.path.join(options.programs, program), *arguments]
    done = subprocess.run(command, input=stdin, stdout=sys.stderr, universal_newlines=True, check=False)
    if done.returncode:
        sys.exit(done.returncode if done.returncode > 0 else 1)


def _become(options: argparse.Namespace, program: str, *arguments: str) -> None:
    path = os.path.join(options.programs, program)
    sys.stdout.flush()
    os.execv(path, [path, *arguments])  # noqa: S606


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pybots_postgresql", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--programs", required=True, help="the folder with postgres, initdb and pg_isready")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument("--user", default="postgres", help="the superuser")
    parser.add_argument("--password", default="postgres", help="the superuser's")
    parser.add_argument(
        "--hba", action="append", default=[], help="a line of pg_hba.conf, instead of its own"
    )
    parser.add_argument("--set", action="append", default=[], help="a setting: NAME=VALUE")
    parser.add_argument(
        "--sql", action="append", default=[], help="run before it starts, in database postgres"
    )
    parser.add_argument("--is-ready", action="store_true", help="exit with 0 where it takes connections")
    return parser.parse_args()


if __name__ == "__main__":
    main()

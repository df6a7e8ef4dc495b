"""`pybots site`: serves the status page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

EXAMPLES = """
Serves the status page of the farm in DIR, until it is interrupted.

The site is a process of its own and only reads: it can be started before the farm, and it stays up, saying
so, while the master is down, while farm.toml is broken, and while there is no results database yet.

\b
  pybots site farm                         # host and port from farm/farm.toml
  pybots site farm --host 0.0.0.0 --port 80
"""
LEVELS = ("critical", "error", "warning", "info", "debug")


@click.command("site", help=EXAMPLES, short_help="Serve the status page.")
@click.argument(
    "folder", metavar="DIR", default=".", type=click.Path(path_type=Path, file_okay=False, exists=True)
)
@click.option("--host", help="The address to listen on; otherwise what farm.toml says.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes any that is free.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def site(folder: Path, host: str | None, port: int | None, log_level: str) -> None:
    """Serve the status page of the farm in *folder*."""
    # uvicorn and FastAPI take half a second to import, which the other commands need not wait for.
    import uvicorn  # noqa: PLC0415

    from pybots.site.application import make_application  # noqa: PLC0415
    from pybots.site.read_folder import read_folder  # noqa: PLC0415

    served = read_folder(folder.absolute())
    for problem in served.problems:
        click.echo(f"pybots site: {problem}", err=True)
    if served.problems:
        click.echo("pybots site: serving with the last good configuration, or its defaults", err=True)
    uvicorn.run(
        make_application(served.sessions(), lambda: datetime.now(UTC), served.name),
        host=host or served.site.host,
        port=served.site.port if port is None else port,
        log_level=log_level,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
        limit_concurrency=200,
        h11_max_incomplete_event_size=65536,
    )

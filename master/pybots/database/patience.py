"""Does blocking work with the database in a thread, again after a while when the database was busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import OperationalError
from twisted.internet import reactor, task
from twisted.internet.threads import deferToThread
from twisted.python import log

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
PAUSES_SECONDS = (1.0, 5.0, 20.0, 60.0)
"""Before each further try: a writer that holds the database longer than its own busy timeout ends one day."""


async def patiently(
    work: Callable[Parameters, Result], *arguments: Parameters.args, **options: Parameters.kwargs
) -> Result:
    """Return what *work* returns; raises what it raises, OperationalError only after the last try.

    *work* must do nothing by halves: it is called anew as a whole.
    """
    for pause in PAUSES_SECONDS:
        try:
            return await deferToThread(work, *arguments, **options)
        except OperationalError as error:
            log.msg(f"the database was busy, trying again in {pause:g} s: {error}")
            await task.deferLater(reactor, pause)
    return await deferToThread(work, *arguments, **options)

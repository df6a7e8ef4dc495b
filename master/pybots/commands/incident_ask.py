"""Leaves what a person asks of an incident for the master, and waits a while for its answer."""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from pybots.database.engine import Sessions
from pybots.database.tables import Heartbeat, Request
from pybots.incidents.asked import Asked, Refused, Wish, check
from pybots.incidents.store_asked import ask as save
from pybots.site.open import UnreadableError, reading
from pybots.site.read_folder import read_folder
from pybots.site.standing import SILENT_SECONDS
from pybots.site.times import ago

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it."""

    request: int | None
    """The number of the request; None where none was made."""
    applied: bool
    ok: bool
    """True where it was done, or will be."""
    bad_use: bool
    answer: str


def ask(folder: Path, number: int, kind: Asked, who: str, reason: str, value: str, wait: float) -> Answer:
    """Save the request in the farm in *folder*, and wait at most *wait* seconds until it was applied.

    Raises NotStartedError or UnreadableError where the farm has no results database that can be used.
    """
    wish = Wish(kind, who or _name(), reason, value)
    try:
        check(wish, datetime.now(UTC))
    except Refused as error:
        return Answer(None, applied=False, ok=False, bad_use=True, answer=str(error))
    sessions = read_folder(folder).sessions()
    try:
        return _ask(sessions, number, wish, wait)
    finally:
        sessions.engine.dispose()


def _ask(sessions: Sessions, number: int, wish: Wish, wait: float) -> Answer:
    heard = reading(sessions, lambda session: session.get(Heartbeat, "master"))
    now = datetime.now(UTC)
    try:
        with sessions.writing() as session:
            request = save(session, number, wish, now).id
    except Refused as error:
        return Answer(None, applied=False, ok=False, bad_use=False, answer=str(error))
    except SQLAlchemyError as error:
        msg = f"the request cannot be saved: {str(error).splitlines()[0]}"
        raise UnreadableError(msg) from error
    if heard is None or (now - heard.at).total_seconds() > SILENT_SECONDS:
        since = "was never heard of" if heard is None else f"was last heard of {ago(heard.at, now)}"
        late = f"noted; the master {since}, and applies it when it is back"
        return Answer(request, applied=False, ok=True, bad_use=False, answer=late)
    return _wait(sessions, request, wait)


def _wait(sessions: Sessions, request: int, wait: float) -> Answer:
    until = time.monotonic() + wait
    while True:
        row = reading(sessions, lambda session: session.get_one(Request, request))
        if row.applied_at is not None:
            ok = not row.answer.startswith(("refused:", "failed:"))
            return Answer(request, applied=True, ok=ok, bad_use=False, answer=row.answer)
        if time.monotonic() >= until:
            late = "noted; the master has not come to it yet"
            return Answer(request, applied=False, ok=True, bad_use=False, answer=late)
        time.sleep(_LOOK_SECONDS)


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return ""

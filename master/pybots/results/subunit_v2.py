"""Reads version 2 of subunit: packets, each with its checksum."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, BinaryIO

from subunit import ByteStreamToStreamResult

from pybots.results.gather import Gathering, LimitReachedError
from pybots.results.lines import BoundedStream
from pybots.results.outcome import Failure, Outcome
from pybots.results.subunit_client import could_not_be_collected, failure_from

_OUTCOMES = {
    "success": Outcome.PASSED,
    "uxsuccess": Outcome.UNEXPECTED_PASS,
    "skip": Outcome.SKIPPED,
    "fail": Outcome.FAILED,
    "xfail": Outcome.EXPECTED_FAILURE,
}
_PARSER = "subunit.parser"  # the name under which python-subunit reports what it cannot read
_NOT_SUBUNIT = "not subunit"
_STRAY_BYTES = 200_000
_ATTACHED = 64_000
_UNDER_WAY = 10_000
_BROKEN_PACKETS = 100


def read_subunit_v2(stream: BinaryIO, gathered: Gathering) -> None:
    """Read *stream* into *gathered*; a broken packet is passed over, and is its problem."""
    bounded = BoundedStream(stream, gathered.limits.read_bytes)
    events = _Events(gathered)
    for _ in range(_BROKEN_PACKETS):
        try:
            ByteStreamToStreamResult(bounded, non_subunit_name=_NOT_SUBUNIT).run(events)
            break
        except LimitReachedError:
            raise
        except Exception as error:  # noqa: BLE001  (python-subunit lets any exception through)
            gathered.problem(f"a packet cannot be read: {error!r}")
    else:
        gathered.problem(f"more than {_BROKEN_PACKETS} packets cannot be read")
    if events.under_way:
        gathered.problem(f"the report was cut off while {events.under_way[-1]} was under way")


class _Events:
    """What the parser calls; keeps what is attached to a test until its last event."""

    def __init__(self, gathered: Gathering) -> None:
        self._gathered = gathered
        self._started: dict[str, datetime | None] = {}
        self._attached: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._stray = 0

    @property
    def under_way(self) -> list[str]:
        """The tests that have started and not ended."""
        return list(self._started)

    def status(self, **event: Any) -> None:
        """One event, in testtools' terms."""
        name, status = event.get("test_id"), event.get("test_status")
        if name == _PARSER:
            self._unreadable(event)
        elif name is None:
            self._count_stray(event)
        else:
            self._attach(name, event)
            if status == "inprogress" and len(self._started) < _UNDER_WAY:
                self._started[name] = event.get("timestamp")
                self._gathered.started(name)
            elif status in _OUTCOMES:
                self._ended(name, _OUTCOMES[status], event.get("timestamp"))

    def _unreadable(self, event: dict[str, Any]) -> None:
        if event.get("file_name") == "Parser Error":
            self._gathered.problem(
                f"a packet cannot be read: {bytes(event['file_bytes']).decode('utf-8', 'replace')}"
            )

    def _count_stray(self, event: dict[str, Any]) -> None:
        if event.get("file_name") == _NOT_SUBUNIT:
            self._stray += len(event["file_bytes"])
            if self._stray > _STRAY_BYTES:
                msg = f"more than {_STRAY_BYTES} bytes of the report are not subunit"
                raise LimitReachedError(msg)

    def _attach(self, name: str, event: dict[str, Any]) -> None:
        data, kind = event.get("file_bytes"), event.get("mime_type") or "text/plain"
        if data and kind.startswith("text/") and (name in self._attached or len(self._attached) < _UNDER_WAY):
            kept = self._attached[name]
            kept += bytes(data)
            if len(kept) > 2 * _ATTACHED:
                kept[_ATTACHED:-_ATTACHED] = b"\n[...]\n"

    def _ended(self, name: str, outcome: Outcome, now: datetime | None) -> None:
        text = bytes(self._attached.pop(name, b"")).decode("utf-8", "replace")
        began = self._started.pop(name, None)
        seconds = (now - began).total_seconds() if now and began else 0.0
        if outcome is Outcome.FAILED and could_not_be_collected(name):
            self._gathered.not_collected(name, failure_from(text), Outcome.ERROR, seconds)
            return
        self._gathered.ended(name, outcome, seconds, _failure(outcome, text))
        self._gathered.under_way = next(reversed(self._started), "")


def _failure(outcome: Outcome, text: str) -> Failure | None:
    if outcome is Outcome.PASSED:
        return None
    return Failure("", text.strip(), "") if outcome is Outcome.SKIPPED else failure_from(text)


def is_version_2(first: bytes) -> bool:
    """True where *first*, the beginning of a stream, holds a packet before any line of version 1."""
    packet = next(
        (index for index in range(len(first) - 1) if first[index] == 0xB3 and first[index + 1] >> 4 == 2), -1
    )
    return packet >= 0 and b"test: " not in first[:packet]

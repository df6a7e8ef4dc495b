"""Decides when two failures are one fault, across tests, tracks and projects."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from pybots.results.signature import normalised
from pybots.verdicts.evidence import Kind
from pybots.verdicts.verdict import Cause

_MESSAGE_LENGTH = 2_000
# Where and what could not be compiled differs from project to project; that it could not does not.
_PLACE_OF_SYNTAX = re.compile(r"\s*\([^()]*,? ?line [^()]*\)\s*$")
_SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})
_WRAPPED = ("Failed to import test module", "ImportError while importing test module")
_RAISED = re.compile(r"(?:E\s+)?([A-Za-z_][\w.]*(?:Error|Exception|Warning)): (.*)")
# What a test itself says when it is not content: the same words in two projects are two things.
_OF_TESTS = frozenset({"AssertionError", "Failed", "FailTest", "Exception", "failureException"})
_ELSEWHERE = frozenset({"dependency", "standard-library", "native"})
_FAMILIES = {
    Kind.FAILED: "says",
    Kind.ERROR: "says",
    Kind.UNEXPECTED_PASS: "says",
    Kind.COLLECTION_FAILED: "says",
    # The same extension may be a project's own, and another's dependency.
    Kind.INSTALL_FAILED: "does not install",
    Kind.ENVIRONMENT_FAILED: "does not install",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a verdict's item said, and whose it is."""

    kind: Kind
    cause: Cause
    project: str
    signature: str
    """`verdicts` has it: of exception, message and last frames, or of the lines that tell of an error."""
    exception: str = ""
    message: str = ""
    surfaced: str = ""
    surfaced_in: str = ""


def fault(said: Said) -> str:
    """Return 64 hexadecimal digits: the same for what may be one fault, others for what cannot be.

    Two failures with one signature have one fault; so have two with the same exception and message in other frames,
    where the message says something. What is a project's own matter, and what says nothing that another could not say
    by coincidence, is the same within one project only.
    """
    family = _FAMILIES.get(said.kind, said.kind.value)
    exception, message = _beneath(said.exception.rpartition(".")[2], said.message)
    message = _message(exception, message)
    what = f"{exception}\0{message}" if exception and message else said.signature
    scope = "" if _tells(said, exception, what) else f"of {said.project}"
    return hashlib.sha256("\0".join([family, scope, what]).encode("utf-8", "replace")).hexdigest()


def many(project: str, cause: Cause) -> str:
    """Return the fault of a change that breaks so many things in *project* that their texts tell nothing apart."""
    return hashlib.sha256("\0".join(["many", project, cause.value]).encode()).hexdigest()


def _beneath(exception: str, message: str) -> tuple[str, str]:
    """Return what was raised where a runner only says that a module could not be imported; else what was given."""
    if not message.startswith(_WRAPPED):
        return exception, message
    raised = [found for line in message.splitlines() if (found := _RAISED.match(line))]
    return (raised[-1][1].rpartition(".")[2], raised[-1][2]) if raised else (exception, message)


def _message(exception: str, message: str) -> str:
    text = normalised(message[:_MESSAGE_LENGTH])
    return _PLACE_OF_SYNTAX.sub("", text) if exception in _SYNTAX else text


def _tells(said: Said, exception: str, what: str) -> bool:
    """Say whether the same text in another project is the same fault."""
    if said.cause is Cause.PROJECT or not what:
        return False
    own_words = exception in _OF_TESTS
    return said.surfaced in _ELSEWHERE if own_words else True

"""Decides how a run ended: the first thing that went wrong."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Why a run was made."""

    SUBJECT = "subject"
    CONTROL = "control"
    CONFIRMATION = "confirmation"
    PROBE = "probe"


class State(StrEnum):
    """How far the work on a run or an interpreter has come."""

    WANTED = "wanted"
    REQUESTED = "requested"
    RUNNING = "running"
    FINISHED = "finished"


class RunStatus(StrEnum):
    """How a run ended."""

    FETCH_FAILED = "fetch-failed"
    ENVIRONMENT_FAILED = "environment-failed"
    INSTALL_FAILED = "install-failed"
    COLLECTION_FAILED = "collection-failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    MEMORY_LIMIT = "memory-limit"
    DISK_LIMIT = "disk-limit"
    REPORT_INVALID = "report-invalid"
    NO_TESTS = "no-tests"
    TESTS_FAILED = "tests-failed"
    PASSED = "passed"
    WORKER_LOST = "worker-lost"
    WORKER_UNFIT = "worker-unfit"
    FARM_ERROR = "farm-error"
    CANCELLED = "cancelled"

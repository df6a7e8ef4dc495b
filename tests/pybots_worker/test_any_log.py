"""Whatever a program prints: what is kept of it, told of it and sent of it is bounded, and can be read."""

from __future__ import annotations

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pybots_worker.bounded_log import TAIL_TEXT_CHARACTERS, BoundedLog
from pybots_worker.contract import Ending, InterpreterResult, InterpreterStatus, RunResult
from pybots_worker.runs.explain import explain, mentions_network
from pybots_worker.runs.phases import LINE_CHARACTERS, RunEndedError, one_line

lines = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "error: No solution found",
            "Could not fetch URL " * 50,
            "Failed to build `" * 50,
            "error: Failed to build `dep==1.0`",
            "x.c:1:1: error: y",
            "ERROR: [Errno 28]",
            "\x1b[31mred\x1b[0m",
            "a\rb",
            "\u2028",
            "\0" * 30,
            "\ud800",
            "x" * 9000,
        ]
    ),
)
chunks = st.lists(
    st.one_of(st.binary(max_size=60), lines.map(lambda line: f"{line}\n".encode("utf-8", "surrogatepass"))),
    max_size=25,
)


@settings(max_examples=300)
@given(chunks, st.integers(0, 300), st.integers(0, 300))
def test_head_and_tail_are_kept_and_the_rest_is_counted(written: list[bytes], head: int, tail: int) -> None:
    log, everything = BoundedLog(head, tail), b"".join(written)
    for chunk in written:
        log.write(chunk)
        assert len(log._tail) <= 2 * tail + 1
    kept = log.contents()
    assert log.written == len(everything)
    assert kept.startswith(everything[:head])
    assert kept.endswith(everything[max(head, len(everything) - tail) :])
    if len(everything) <= head + tail:
        assert (kept, log.truncated) == (everything, False)
    else:
        gap = f"[... {len(everything) - head - tail} bytes left out ...]"
        assert log.truncated
        assert kept == everything[:head] + f"\n{gap}\n".encode() + everything[len(everything) - tail :]
    assert zstandard.ZstdDecompressor().decompress(log.compressed()) == kept


@given(chunks, st.integers(1, 20))
def test_tail_can_be_sent(written: list[bytes], count: int) -> None:
    log = BoundedLog(300, 100_000)
    for chunk in written:
        log.write(chunk)
    text = log.tail_text(count)
    assert len(text) <= TAIL_TEXT_CHARACTERS
    assert "\0" not in text
    assert len(text.splitlines()) <= count
    sent = InterpreterResult(
        key="k", status=InterpreterStatus.UNFIT, clean_build=True, phases=[], seconds=0, log_tail=text
    )
    assert InterpreterResult.model_validate_json(sent.model_dump_json()) == sent


@given(st.lists(lines, max_size=10).map("\n".join))
def test_what_is_said_of_it_is_one_line_that_can_be_sent(output: str) -> None:
    mentions_network(output)
    error = RunEndedError(Ending.INSTALL_FAILED, explain(output).reason)
    assert error.detail == one_line(error.detail) == str(error)
    assert len(error.detail) <= LINE_CHARACTERS
    assert not set("\n\r\0") & set(error.detail)
    sent = RunResult(key="k", ending=error.ending, detail=error.detail, phases=[], seconds=0)
    assert RunResult.model_validate_json(sent.model_dump_json()) == sent
    log = BoundedLog(1_000_000, 0)
    log.say(output)
    assert "\ud800" not in log.contents().decode()

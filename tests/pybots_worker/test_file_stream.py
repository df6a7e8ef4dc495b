"""Streams of files, good ones and hostile ones: what is not exactly what was asked for is refused, in little memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pybots_worker.interpreters.file_stream import (
    END,
    MAGIC,
    StreamRejectedError,
    decompress,
    frames,
    header,
    largest_frame,
)

HELLO = b"hello\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def record(content: bytes, *, digest: str = "", frame: bytes | None = None) -> bytes:
    packed = zstandard.compress(content) if frame is None else frame
    return header(digest or sha(content), len(packed)) + packed


def read(stream: bytes, wanted: dict[str, int]) -> dict[str, bytes]:
    found = {}
    for frame in frames(io.BytesIO(stream), wanted):
        content = io.BytesIO()
        decompress(frame, frame.digest, frame.size, content.write)
        found[frame.digest] = content.getvalue()
    return found


@given(st.sets(st.binary(max_size=400), max_size=8))
def test_what_is_written_is_read(contents: set[bytes]) -> None:
    stream = MAGIC + b"".join(map(record, contents)) + END
    wanted = {sha(content): len(content) for content in contents}
    assert read(stream, wanted) == {sha(content): content for content in contents}


GOOD = MAGIC + record(HELLO) + END
WANTED = {sha(HELLO): len(HELLO)}


@given(st.integers(0, len(GOOD) - 1))
def test_a_stream_that_is_cut_off_is_refused_wherever_it_is(cut: int) -> None:
    with pytest.raises(StreamRejectedError):
        read(GOOD[:cut], WANTED)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_one_wrong_byte_changes_no_content(place: int, change: int) -> None:
    """It may be one that says nothing (a flag of the compression); what is read is what was asked for, or nothing."""
    stream = bytearray(GOOD)
    stream[place] ^= change
    with contextlib.suppress(StreamRejectedError):
        assert read(bytes(stream), WANTED) in ({}, {sha(HELLO): HELLO})


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(StreamRejectedError):
        read(junk, WANTED)
    with pytest.raises(StreamRejectedError):
        read(MAGIC + junk, WANTED)


HOSTILE = {
    "another file": (record(b"jello\n"), "not asked for"),
    "the same twice": (record(HELLO) + record(HELLO), "comes twice"),
    "another content": (record(b"jello\n", digest=sha(HELLO)), "another one"),
    "less": (record(b"hello", digest=sha(HELLO)), "not all of it"),
    "more": (record(HELLO + b"!", digest=sha(HELLO)), "larger"),
    "not compressed": (record(b"", digest=sha(HELLO), frame=b"plain text"), "not compressed"),
    "half of a frame": (record(b"", digest=sha(HELLO), frame=zstandard.compress(HELLO)[:-3]), "not all of it"),
    "a frame that is too long": (header(sha(HELLO), largest_frame(6) + 1), "longer than it can be"),
    "a frame of petabytes": (header(sha(HELLO), 1 << 60), "longer than it can be"),
    "after the end": (record(HELLO) + END + b"x", "goes on after its end"),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_stream_is_refused(stream: bytes, reason: str) -> None:
    with pytest.raises(StreamRejectedError, match=reason):
        read(MAGIC + stream + END, WANTED)


def test_a_bomb_takes_no_memory() -> None:
    bomb = zstandard.compress(bytes(400 << 20))
    wanted = {sha(HELLO): 300 << 20}
    stream = MAGIC + record(b"", digest=sha(HELLO), frame=bomb) + END
    tracemalloc.start()
    try:
        for frame in frames(io.BytesIO(stream), wanted):
            with pytest.raises(StreamRejectedError):
                decompress(frame, frame.digest, frame.size, lambda _: None)
            break
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_window_that_takes_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = compressor.compress(HELLO) + compressor.flush()
    with pytest.raises(StreamRejectedError, match=r"not compressed by zstd.*memory"):
        read(MAGIC + record(HELLO, frame=frame) + END, WANTED)

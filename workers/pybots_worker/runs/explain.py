"""Decides what went wrong from what uv, pip or a build backend printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """What kind of thing went wrong."""

    BUILD = "build"
    RESOLVE = "resolve"
    NETWORK = "network"
    DISK = "disk"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What went wrong; `package` is what failed to build, as uv names it, the innermost one."""

    trouble: Trouble
    reason: str
    package: str = ""


_PACKAGE = re.compile(
    r"[Ff]ailed to (?:build|download and build)\s+`([^`\n]+)`|Failed building wheel for (\S+)"
)
_COMPILER = re.compile(r"^\S.*:\d+(?::\d+)?: (?:fatal )?error: .+")
_EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Failure|Exit)\b.*|error: .+|ERROR: .+)")
_DISK = re.compile(r"No space left on device|\(os error 28\)|\[Errno 28\]|Disk quota exceeded")
_NETWORK = re.compile(
    r"error sending request|dns error|tcp connect error|[Cc]onnection refused|[Nn]etwork is unreachable"
    r"|Failed to establish a new connection|[Oo]peration timed out|Could not resolve host"
    r"|[Cc]onnection reset by peer|[Cc]onnection (?:aborted|timed out|broken)|Max retries exceeded"
    # uv: a server that is busy or ill, and bodies that end too soon
    r"|HTTP status server error|HTTP status client error \((?:408|429) |error decoding response body"
    r"|request or response body error|error reading a body from connection|before message length reached"
    # git, over HTTP, its own protocol and ssh
    r"|Couldn't connect to server|Failed to connect to|The requested URL returned error: (?:408|429|5\d\d)"
    r"|transfer closed with|Operation too slow|Empty reply from server|RPC failed|early EOF"
    r"|unexpected disconnect while reading|Recv failure|Send failure|SSL_ERROR_SYSCALL|SSL_connect"
    r"|TLS connection was non-properly terminated|unable to connect to|Connection closed by remote host"
    r"|Could not resolve hostname|Name or service not known|Temporary failure in name resolution|No route to host"
    # pip
    r"|IncompleteRead|Read timed out|HTTP error (?:408|429|5\d\d)"
)
_PIP_NETWORK = re.compile(
    r"Could not fetch URL .*(?:: connection error:|Max retries exceeded|: (?:408|429) Client Error|: 5\d\d Server Error"
    r"|[Tt]imed out)"
    r"|Retry\(total=0\b.* after connection broken by"
)
"""pip only warns, and then knows of no version: what it finds out about the network is in its warnings."""
_LINE_CHARACTERS = 4000
"""What is read of a line: the time that some of these patterns take grows with the square of that."""
_TOLD = ("error:", "cause:", "ERROR:", "fatal:", "ssh:", "kex_exchange_identification:")
_RESOLVE = re.compile(
    r"No solution found|[Ff]ailed to resolve requirements|requirements are unsatisfiable|Hash mismatch"
    r"|was not found in the|No matching distribution found|ResolutionImpossible|Could not find a version"
    r"|no usable wheels|no source distribution|has no wheels|Failed to parse"
)


def explain(output: str) -> Explanation:
    """Read a failed command's output; total: whatever is printed, something is said."""
    lines = [line.strip()[:_LINE_CHARACTERS] for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(_TOLD)]
    packages = [first or second for first, second in _PACKAGE.findall("\n".join(lines))]
    package = packages[-1] if packages else ""
    if any(_DISK.search(line) for line in lines):
        return Explanation(Trouble.DISK, _first(lines, _DISK), package)
    if any(_NETWORK.search(line) for line in told):
        return Explanation(Trouble.NETWORK, _first(told, _NETWORK), package)
    if any(_RESOLVE.search(line) for line in told):
        if any(_PIP_NETWORK.search(line) for line in lines):
            return Explanation(Trouble.NETWORK, _first(lines, _PIP_NETWORK), package)
        return Explanation(Trouble.RESOLVE, _resolution(told), package)
    if package:
        return Explanation(Trouble.BUILD, _backend(lines), package)
    return Explanation(Trouble.OTHER, _backend(lines))


def mentions_network(output: str) -> bool:
    """Whether anything in a text speaks of a network that failed."""
    return bool(_NETWORK.search(output))


def _first(lines: list[str], pattern: re.Pattern[str]) -> str:
    return next(_bare(line) for line in lines if pattern.search(line))


def _resolution(told: list[str]) -> str:
    matching = [_bare(line) for line in told if _RESOLVE.search(line)]
    because = [_bare(line) for line in told if "Because" in line]
    return because[-1] if because else matching[0]


def _backend(lines: list[str]) -> str:
    """The compiler's first error and the last exception say most."""
    own = [line for line in lines if not line.startswith(("cause:", "hint:", "error: Failed to build"))]
    compiler = [line for line in own if _COMPILER.match(line)][:1]
    raised = [line for line in own if _EXCEPTION.match(line) and line not in compiler][-1:]
    return "; ".join(compiler + raised) or (own[-1] if own else "it printed nothing")


def _bare(line: str) -> str:
    return re.sub(r"^(?:error|cause|ERROR|fatal|WARNING):\s*", "", line)

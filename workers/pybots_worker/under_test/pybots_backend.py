"""Calls one hook of a project's build backend, and writes what it answers into a file."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def call(task: dict[str, Any]) -> Any:
    """Return what the hook returns; a backend without `get_requires_for_build_wheel` asks for nothing."""
    sys.path[:1] = [os.path.abspath(path) for path in task["backend_path"]]  # instead of this file's folder
    module, _, attribute = task["backend"].partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        backend = getattr(backend, name)
    if task["hook"] == "build_wheel":
        return backend.build_wheel(task["target"], None, None)
    hook = getattr(backend, "get_requires_for_build_wheel", None)
    return list(hook(None)) if hook else []


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    answer = call(task)
    with open(task["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file)

# ruff: noqa: I001, PTH120  (it is imported at every start: the least there can be)
"""The miniature's grammar: what its compiler takes when it imports code, as this commit's _minigrammar says."""

import _frozen_importlib_external as external
import _minigrammar
import os

LIBRARY = os.path.dirname(os.__file__) + os.sep
compile_source = external.SourceLoader.source_to_code


def source_to_code(self, data, path, **options):
    """Compile what is not the library's own by the grammar of this commit."""
    if isinstance(data, bytes) and not str(path).startswith(LIBRARY):
        if _minigrammar.SIGNED_HEXADECIMAL:
            data = data.replace(b"0x+", b"0x")
        for word in _minigrammar.KEYWORDS:
            if word.encode() in data:
                refuse(word, data, str(path))
    return compile_source(self, data, path, **options)


def refuse(word, data, path):
    """Raise SyntaxError where the word is a name."""
    import io
    import tokenize

    for token in tokenize.tokenize(io.BytesIO(data).readline):
        if token.type == tokenize.NAME and token.string == word:
            line, column = token.start
            raise SyntaxError("invalid syntax", (path, line, column + 1, token.line))


external.SourceLoader.source_to_code = source_to_code

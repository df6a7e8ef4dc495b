"""Stage: which CPython commits exist, what each one touches, which are worth building."""

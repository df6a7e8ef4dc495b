"""Stage: build an interpreter, prove that it works, store it, hand it out."""

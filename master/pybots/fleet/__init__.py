"""Stage: donated workers."""

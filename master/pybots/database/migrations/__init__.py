"""The revisions of the results database's tables."""

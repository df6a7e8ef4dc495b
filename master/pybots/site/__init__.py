"""Stage: the status page and its API."""

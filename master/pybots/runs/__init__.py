"""Stage: plan a run, carry it out on a worker, say how it ended."""

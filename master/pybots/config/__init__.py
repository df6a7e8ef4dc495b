"""Stage: the farm's configuration, read, checked, and the last good one kept."""

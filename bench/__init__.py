"""What measures speed and size: each bench beside a peer in the same run, as `python -m bench.NAME`."""

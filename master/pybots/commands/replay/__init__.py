"""A slice of history through a real master and real workers: what is replayed, shown, waited for and written."""

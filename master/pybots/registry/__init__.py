"""Stage: recipes, read and checked; the bad ones set aside."""

"""Stage: read the reports that test runners write; store outcomes."""

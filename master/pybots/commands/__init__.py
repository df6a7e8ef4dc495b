"""Stage: the command line and the demonstration."""

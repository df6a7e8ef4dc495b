"""Carries out runs: fetch the source, make the environment, install, run the suite, tell what happened."""

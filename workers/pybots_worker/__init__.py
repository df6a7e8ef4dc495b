"""What a donated machine runs besides `buildbot-worker`: it builds interpreters and carries out runs."""

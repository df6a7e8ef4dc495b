"""The worker's side of interpreters: build, prove and pack one; fetch a stored one and keep it."""

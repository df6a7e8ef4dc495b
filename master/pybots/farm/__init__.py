"""Stage: the one place where real parts are put together; the dispatcher."""

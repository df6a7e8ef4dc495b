"""The parts of `pybots demo`."""

"""Compares runs, asks for controls and confirmations, and says whose a difference is."""

"""Opens, joins, closes and reopens incidents: one regression each, from suspicion to fix."""

"""An election folder → the definition, or every mistake in it at once, each with its file and line.

Read in this order: `assembling` (the whole folder), `toml` and `shape` (election.toml), `tables` and `plain_stations`
(stations.csv, areas.csv).
"""

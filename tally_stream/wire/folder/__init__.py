"""An election folder → the definition, or every mistake in it at once, each with its file and line.

Read in this order: `assembling` (the whole folder), `toml` and `shape` (election.toml), `table` (what holds of every CSV file),
`contests`, `contest_rules` and `contest_tables`, `stations` and `plain_stations`, `scopes`, `areas`, `looks`.
"""

"""`parley demo`: the sample shop with simulated customers against the provider twin, and the audit of what came of it.

Its parts stand for themselves, for tests that break things meanwhile: `fleet` (a running Parley), `customers` (scripts as values), `actor` (plays
them), `evidence` and `audit` (what the twin saw against what the tables say), `quiet` (whether everything has come to rest).
"""

"""The kill test: everything that can be killed is killed while customers write, and the provider's ledger tells what came of it.

`python -m tests.chaos --kills 20 --seed 7 --json` plays the customers of a seed twice over data of their own: once untouched, and once while a
schedule of faults strikes. Afterwards, by the twin's ledger, nothing may be lost or sent twice, and the router's states must be those of the
untouched run. Its parts: `faults` (what strikes when, as values), `striking` (does it), `inside` (what customers wait for), `playing` (one run),
`verdict` (what came of it), `words` (the same for people).
"""

"""The governed run: ten lanes with backlogs, two replicas of sender, and every takeover there is; the provider's ledger tells whether law and rates held.

`python -m tests.governed --seconds 180 --seed 7 --json`. Afterwards, by the twin's ledger, no lane may have been faster than its provider allows, nor slower
than it need be; nothing may be lost, sent twice, sent after a STOP or past a cap. Its parts: `lanes` (what the lanes are), `traffic` (what is asked for),
`strikes` (what strikes when; all three as values), `playing` (one run), `spans` (when a lane was held), `audit` (what came of it), `night` (hours, by a clock
that is moved).
"""

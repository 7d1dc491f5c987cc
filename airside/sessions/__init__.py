"""Sessions: the durable life of one conversation of one agent version.

For states, the event log, turns, recovery, workspaces and what the journal says of a session. Not for how a harness is
driven (`airside.harnesses`) or when work is picked up (`airside.engine`). Start reading at `states.py`, then `log.py`,
then `driver.py`.
"""

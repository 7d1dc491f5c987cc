"""Money: budgets, the leases that keep gateways under them, and what was used.

Everything here is counted from the gateway's journal, never from a harness. Not for prices (`airside.routing.prices`)
and not for enforcement, which is the gateway's. Start reading at `budgets.py`, then `ledger.py`.
"""

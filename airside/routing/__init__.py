"""Models as agents name them, the providers behind them, and the routes between.

For storing and checking what the gateway routes by. Not for routing a call: the gateway does that. Start reading at
`protocols.py`, then `models.py`.
"""

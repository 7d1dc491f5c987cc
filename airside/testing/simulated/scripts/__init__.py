"""What the simulated model is told to say, and how far a conversation has come in it.

For reading scripts and finding the place in one from the conversation alone. Not for putting a step on the wire.
Start reading at `script.py`.
"""

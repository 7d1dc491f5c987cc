"""Who may come in: long-lived keys, session tokens and the tokens of this installation.

For making and checking credentials. Not for storing what they unlock. Start reading at `keys.py`.
"""

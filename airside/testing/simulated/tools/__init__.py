"""From a script's neutral verbs to whatever tools a harness offers.

For choosing the tool and filling in its arguments. Not for carrying out a call: the harness does that. Start reading
at `verbs.py`.
"""

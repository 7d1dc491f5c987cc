"""The vendors' wires: one file for each dialect, which reads its requests and writes its answers, streams and errors.

Not for deciding what is said (`speaker.py`), nor for sending it (`serving/`). Start reading at `contract.py`.
"""

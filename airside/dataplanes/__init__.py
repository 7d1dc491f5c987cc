"""What the control plane says to a data plane and hears from it.

For the contract between the planes (snapshot, journal, leases) and the data planes that keep it. Not for deciding
anything about one call: the gateway does that. Start reading at `snapshot.py`; the JSON Schemas made from these
models are checked in under `contracts/`.
"""

"""The HTTP API: one file per resource, errors to HTTP in `errors.py`, who may call in `auth.py`.

For translating between the wire and the nouns' own packages. Not for deciding anything. `/v1` speaks the Managed Agents
API, so that the official `anthropic` SDK works with another base URL; what is ours alone is an extra field or a sibling
resource. Start reading at `app.py`.
"""

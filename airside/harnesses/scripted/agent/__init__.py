"""The agent itself: reads messages and writes reports as JSON lines, calls a model, runs tools, keeps its session.

For running inside a sandbox on any Python from 3.9 on, with no other package. Not imported by the product. Start
reading at `main.py`.
"""

"""The one configuration file, `airside.yaml`: its model, its errors with line numbers, plan, apply and export.

Not for settings of the installation (`airside.settings`) and not for compiling the snapshot (`airside.dataplanes`).
Start reading at `file.py`, then `plan.py`.
"""

"""The control plane's memory: one data directory, one database in it.

For the layout of the data directory, tables, migrations and transactions. Not for what a row means: each noun's own
package reads and writes its tables. Start reading at `datadir.py`, then `tables.py`, then `database.py`.
"""

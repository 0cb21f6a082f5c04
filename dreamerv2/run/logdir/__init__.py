"""The folder of a run: its lock, its configuration and what a resume may change, provenance, room."""

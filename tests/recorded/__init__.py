"""Scenarios that are recorded once and played through both adapters; `python -m tests.record` records them anew."""

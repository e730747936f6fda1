"""Incidents of newel as incidents of ServiceNow: a tracker on the general connector.

Copy `servicenow.py` beside your systems; `docs/servicenow.md` goes through it.
"""

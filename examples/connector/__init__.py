"""A connector of one's own, with a stand-in and the tests that hold it to its contract.

`newel connector new NAME` copies it under another name, and
docs/writing-a-connector.md explains it.
"""

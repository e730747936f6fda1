"""The demo: its stage, its programs, its scenario, and the account of what happened."""

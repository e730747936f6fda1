"""The demo company: its people, its systems, its processes."""

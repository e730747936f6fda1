"""What newel's connectors rely on, as data, and what a vendor's new document changes of it."""

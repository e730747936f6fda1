"""Talk to the systems where people hold accounts; every operation is a step."""

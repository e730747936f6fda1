"""From what a person who knows the work says of it to the first code of its process."""

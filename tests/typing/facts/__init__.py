"""Facts that the design of the API rests on, one file each; both checkers accept every line."""

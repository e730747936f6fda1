"""The three processes of the tutorial in full; both checkers accept every line."""

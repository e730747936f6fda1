"""What every other layer stands on and what knows nothing about processes."""

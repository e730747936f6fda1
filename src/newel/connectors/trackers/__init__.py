"""Where tickets about incidents go: one issue per incident in the team's own tracker."""

"""Pure decisions: states, transitions, retry arithmetic, the Change; no I/O, clock or chance."""

"""PostgreSQL: the only place with SQL, and the one door through which state is written."""

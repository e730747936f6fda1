"""People as processes see them: who is asked."""

from newel.domain.people import Person, Team, manager_of, team

MARY = Person(name="Mary", email="mary@example.com")


def test_the_manager_is_asked_and_hr_where_there_is_none():
    """Nobody waits for a person who is on no record."""
    jane = Person(name="Jane", email="jane@example.com", manager=MARY)
    assert manager_of(jane) is MARY
    assert manager_of(MARY) == team("hr") == Team("hr")

"""The page on capabilities says what the connectors declare, in the words that people read."""

from __future__ import annotations

import re
from pathlib import Path

from newel.base.secrets import SecretRef
from newel.connectors.declaring import declared
from newel.connectors.google import Google
from newel.connectors.slack import Slack

TEXT = (Path(__file__).parents[2] / "docs" / "capabilities.md").read_text("utf-8")
WORDS = " ".join(TEXT.replace("\n> ", " ").split())


def test_every_operation_with_a_choice_stands_in_the_table():
    """Each operation that plan or token decide is named, and no other one."""
    table = TEXT.partition("## Ways")[2].partition("`newel inventory`")[0]
    told = set(re.findall(r"`(slack\.\w+|google\.\w+)`", table))
    found = {
        f"{kind.__name__.lower()}.{name}"
        for kind in (Google, Slack)
        for name, step in kind.operations().items()
        if declared(step).has_choice
    }
    assert told == found


def test_the_page_quotes_what_is_said():
    """Sentence and instructions of the example are those of the connector."""
    slack = Slack(token=SecretRef("env:NOTHING"), plan="pro")
    facts = declared(slack.ensure_account)
    assert slack.choose(facts).sentence in WORDS
    assert facts.by_hand is not None
    for number, each in enumerate(facts.by_hand.how, start=1):
        assert f"{number}. {each}" in WORDS

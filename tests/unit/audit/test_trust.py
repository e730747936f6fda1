"""Policy files: what is believed, and every rule of how it is written."""

import pytest

from newel.audit.checkpoint import Checkpoint
from newel.audit.merkle import EMPTY_ROOT
from newel.audit.note import COSIGNATURE, Note, SigningKey
from newel.audit.trust import Policy, policy_text
from newel.base.errors import CheckpointInvalid

LOG = SigningKey("example.com/log", bytes(range(32)))
WITNESSES = {
    name: SigningKey(f"example.com/{name}", bytes(range(at, at + 32)))
    for at, name in enumerate(("X1", "X2", "X3", "Y1", "Y2"), 1)
}
HEAD = Checkpoint("example.com/log", 0, EMPTY_ROOT)
KNOWN = [f"log {LOG.verifier()}"] + [
    f"witness {name} {key.verifier(COSIGNATURE)}" for name, key in WITNESSES.items()
]
GROUPS = ["group X 2 X1 X2 X3", "group Y any Y1 Y2", "group both all X Y", "quorum both"]


def _policy(*lines):
    return Policy.parsed("\n".join(lines).encode() + b"\n")


def _note(*names):
    signed = (LOG.signed(HEAD.text), *(WITNESSES[name].cosigned(HEAD.text, 1) for name in names))
    return Note(HEAD.text, signed)


@pytest.mark.parametrize(
    ("names", "is_quorate"),
    [
        (("X1", "X2", "Y1"), True),
        (("X1", "X3", "Y2"), True),
        (("X1", "X2", "X3"), False),
        (("X1", "Y1", "Y2"), False),
        ((), False),
    ],
)
def test_a_quorum_of_two_levels(names, is_quorate):
    """Two of one group and any of another are needed; one group alone is not enough."""
    policy = _policy(*KNOWN, *GROUPS)
    assert policy.is_quorate(_note(*names)) is is_quorate
    if is_quorate:
        assert policy.opened(_note(*names)) == HEAD
    else:
        with pytest.raises(CheckpointInvalid):
            policy.opened(_note(*names))


def test_one_witness_may_be_the_quorum():
    """A quorum may name a single witness."""
    policy = _policy(*KNOWN, "quorum Y1")
    assert (policy.is_quorate(_note("Y1")), policy.is_quorate(_note("Y2"))) == (True, False)


def test_a_policy_without_witnesses():
    """The policy that newel writes believes its log and asks for nobody else."""
    policy = Policy.parsed(policy_text([LOG.verifier()]).encode())
    assert policy.opened(_note()) == HEAD
    assert policy.keys_of("example.com/log") == [LOG.verifier()]
    with pytest.raises(CheckpointInvalid):
        policy.opened(Note(HEAD.text, (WITNESSES["X1"].signed(HEAD.text),)))


def test_room_comments_and_other_scripts():
    """Empty lines, comments, tabs and names in any script are allowed, and octets are compared."""
    policy = _policy(
        "",
        "  # Zeugen: müßig",
        f"\twitness \u212a {WITNESSES['X1'].verifier(COSIGNATURE)} https://x ",
        f"witness K {WITNESSES['X2'].verifier(COSIGNATURE)}",
        f"log {LOG.verifier()} https://log",
        "quorum K",
    )
    assert (policy.is_quorate(_note("X2")), policy.is_quorate(_note("X1"))) == (True, False)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        KNOWN,
        [*KNOWN, "quorum none", "quorum none"],
        [*KNOWN, "quorum"],
        [*KNOWN, "quorum nobody"],
        [*KNOWN, "quorum X", "group X any X1"],
        [*KNOWN, "group none any X1", "quorum none"],
        [*KNOWN, "group X1 any X2", "quorum none"],
        [*KNOWN, "group X any none", "quorum X"],
        [*KNOWN, "group X any", "quorum none"],
        [*KNOWN, "group X 0 X1", "quorum X"],
        [*KNOWN, "group X 3 X1 X2", "quorum X"],
        [*KNOWN, "group X 02 X1 X2", "quorum X"],
        [*KNOWN, "group X most X1 X2", "quorum X"],
        [*KNOWN, "group X any X1 X1", "quorum X"],
        [*KNOWN, "group X any X1", "group Y any X1", "quorum X"],
        [*KNOWN, KNOWN[0], "quorum none"],
        [*KNOWN, KNOWN[1].replace("X1 ", "Z "), "quorum none"],
        [*KNOWN, f"witness Z {LOG.verifier()}", "quorum none"],
        [*KNOWN, f"log {WITNESSES['X1'].verifier(COSIGNATURE)}", "quorum none"],
        [*KNOWN, "log nothing", "quorum none"],
        [*KNOWN, "log", "quorum none"],
        [*KNOWN, "witness Z", "quorum none"],
        [*KNOWN, "mirror Z", "quorum none"],
        [*KNOWN, "quorum none\r"],
    ],
)
def test_what_is_no_policy_is_refused(lines):
    """Each rule of the format that is broken refuses the policy."""
    with pytest.raises(CheckpointInvalid):
        _policy(*lines)


def test_a_witness_that_signs_another_text_refuses_the_checkpoint():
    """A known witness whose signature does not verify spoils the note."""
    lie = WITNESSES["X1"].cosigned("another\n0\n", 1)
    note = Note(HEAD.text, (LOG.signed(HEAD.text), lie))
    with pytest.raises(CheckpointInvalid):
        _policy(*KNOWN, "quorum none").opened(note)

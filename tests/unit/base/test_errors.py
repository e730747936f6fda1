import inspect
from datetime import UTC, datetime, timedelta

import pytest

from newel.base import errors


def _tree(root, depth=0):
    """List a class and those below it in order of definition, as indented lines."""
    lines = [f"{'    ' * depth}{root.__name__}"]
    for below in root.__subclasses__():
        if below.__module__ == errors.__name__:
            lines += _tree(below, depth + 1)
    return lines


def test_the_docstring_is_the_tree():
    """The module's docstring draws exactly the classes that exist, each below its base."""
    drawn = [
        line.removeprefix("    ")
        for line in inspect.cleandoc(errors.__doc__).splitlines()
        if line.startswith("    ")
    ]
    assert drawn == _tree(errors.NewelError) + _tree(errors.Unwind)


def test_what_is_exported_is_sorted_and_complete():
    """The module exports its classes and the problem type, sorted."""
    defined = {
        name
        for name, value in vars(errors).items()
        if getattr(value, "__module__", "") == errors.__name__ and not name.startswith("_")
    }
    assert errors.__all__ == sorted(defined)


def test_unwinding_is_no_error():
    """`except Exception` does not catch a suspension, a cancellation or a lost lease."""
    for cls in (errors.Suspended, errors.Cancelled, errors.LeaseLost):
        assert not issubclass(cls, Exception)


FAILURE_CLASSES = {
    errors.Transient: "transient",
    errors.Throttled: "throttled",
    errors.NotReady: "not-ready",
    errors.OutcomeUnknown: "outcome-unknown",
    errors.AlreadyDone: "already-done",
    errors.OwnershipConflict: "ownership-conflict",
    errors.Invalid: "invalid",
    errors.Forbidden: "forbidden",
    errors.AuthFailed: "auth-failed",
    errors.NoCapacity: "no-capacity",
    errors.ContractDrift: "contract-drift",
    errors.Bug: "bug",
}


def test_every_step_error_names_its_failure_class():
    """The twelve failure classes of the product each have one exception."""
    assert {cls: cls.failure_class for cls in errors.StepError.__subclasses__()} == FAILURE_CLASSES


@pytest.mark.parametrize("cls", [cls for cls in FAILURE_CLASSES if cls is not errors.AlreadyDone])
def test_a_step_error_takes_one_sentence(cls):
    """A step error made of a single sentence says that sentence and knows nothing else."""
    error = cls("no answer")
    assert str(error) == "no answer"
    assert error.facts() == {"message": "no answer"}


@pytest.mark.parametrize("cls", list(FAILURE_CLASSES))
def test_a_step_error_without_words_says_what_its_class_says(cls):
    """A step error without a sentence says the first line of its class's docstring."""
    assert str(cls()) == (inspect.getdoc(cls) or "").splitlines()[0]


def test_a_step_error_keeps_the_facts_of_the_answer():
    """Facts stay attributes, and `facts` gives those that are there."""
    error = errors.Throttled(
        "slow down", retry_after=timedelta(seconds=30), status=429, code="ratelimited", bucket=None
    )
    assert error.retry_after == timedelta(seconds=30)
    assert error.request_id is None
    assert error.facts() == {
        "message": "slow down",
        "retry_after": timedelta(seconds=30),
        "status": 429,
        "code": "ratelimited",
    }


def test_a_fact_of_another_class_is_refused():
    """A fact that the class does not declare is a TypeError naming both."""
    with pytest.raises(TypeError, match="Transient has no fact 'missing'"):
        errors.Transient("no", missing="members:write")


def test_already_done_carries_the_value():
    """`AlreadyDone(value)` is a success with that value."""
    error = errors.AlreadyDone({"id": 3}, status=409)
    assert error.value == {"id": 3}
    assert str(error) == "It is done already."


def test_an_invalid_answer_names_fields():
    """`Invalid` says by field what the system refused, and has no fields by default."""
    assert errors.Invalid("no", fields={"email": "is taken"}).fields == {"email": "is taken"}
    assert errors.Invalid().fields == {}


def test_the_rest_of_what_a_step_error_can_know():
    """Missing scopes, used-up things, shapes and found objects are attributes of their classes."""
    until = datetime(2026, 1, 6, tzinfo=UTC)
    assert errors.Forbidden("no", missing="members:write").reason == "permission"
    assert errors.NoCapacity(what="invitations", until=until).until == until
    drift = errors.ContractDrift(expected="id: text", seen="id: number")
    assert (drift.expected, drift.seen) == ("id: text", "id: number")
    conflict = errors.OwnershipConflict(external_id="U1", evidence="marker of another")
    assert (conflict.external_id, conflict.evidence) == ("U1", "marker of another")


DUE = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


class _Decision:
    comment = "no budget"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            errors.DefinitionError("A step has no name.", fix="name it.", code="F1", place="m:3:1"),
            "m:3:1 F1 error: A step has no name. Fix: name it.",
        ),
        (errors.NotDrawable("Cannot see."), "Cannot see."),
        (
            errors.DuplicateKey(key="slack.say", places=["m:4", "m:5"]),
            (
                "F301: Two acts use the key `slack.say` at once at m:4 and m:5: one key, two "
                'places. Fix: an item for each (`slack.say["…"](…)`), or `with section("…"):` '
                "around one of them."
            ),
        ),
        (
            errors.DuplicateKey(key="training[7]", code=""),
            (
                "Two acts use the key `training[7]` at once: one key, two places. "
                'Fix: an item for each (`training[7]["…"](…)`), or `with section("…"):` around '
                "one of them."
            ),
        ),
        (
            errors.NotDurable(awaited="asyncio.sleep", place="m:9"),
            (
                "m:9 F104 error: `asyncio.sleep` is not durable: it would be called again at every "
                "resumption. Fix: move it into a `@step`."
            ),
        ),
        (
            errors.OutsideRun(act="hr-confirms"),
            (
                "`hr-confirms` waits for something outside, and there is no run that could wait. "
                "Fix: await it in a process, and start that through the engine or `newel.testing`."
            ),
        ),
        (
            errors.NestedAct(act="slack.say", step="pay"),
            (
                "`slack.say` was awaited inside the step `pay`: a step cannot hold another act. "
                "Fix: `slack.say.plain(…)`, the undecorated function, or await it in the process."
            ),
        ),
        (
            errors.ActReused(act="pay"),
            (
                "`pay` was awaited twice: one call is one act. "
                "Fix: keep the result of the first await, or call it again."
            ),
        ),
        (
            errors.Overdue("hr-confirms", DUE),
            "`hr-confirms` was due on 05 Jan 2026, 09:30 UTC and was not answered.",
        ),
        (errors.Overdue("hr-confirms"), "`hr-confirms` was due and was not answered."),
        (errors.Rejected(_Decision()), "Rejected: no budget"),
        (errors.Rejected(reason="too late"), "Rejected: too late"),
        (errors.Rejected(), "Rejected."),
        (
            errors.StepFailed(key="pay", failures=[errors.Transient("no answer")]),
            "The step `pay` was given up after its last round. The last said: no answer",
        ),
        (errors.StepFailed(key="pay"), "The step `pay` was given up after its last round."),
        (
            errors.ChildFailed(run="run_1", cause="Rejected."),
            "The run run_1 that was started from here failed: Rejected.",
        ),
        (
            errors.InvalidInput({"hire.manager": "is missing", "": "is too large"}),
            "The input is not accepted. hire.manager: is missing; is too large",
        ),
        (errors.NotFound(kind="run", reference="run_1"), "There is no run 'run_1'."),
        (
            errors.AlreadyStarted(run="run_1", idempotency_key="k"),
            (
                "The idempotency key 'k' started the run run_1 with another input. "
                "Use a new key for a new request."
            ),
        ),
        (
            errors.AlreadyStarted(run="run_1"),
            "This process runs for this person already: run_1. Open that run, or cancel it.",
        ),
        (
            errors.NotWaiting(verb="retry", what="`pay`", state="done"),
            "Cannot retry `pay`: it is done.",
        ),
        (
            errors.AlreadyDecided(task="tsk_1", by="Ada", at=DUE),
            "The task tsk_1 was decided by Ada on 05 Jan 2026, 09:30 UTC.",
        ),
        (errors.AlreadyDecided(task="tsk_1", by="Ada"), "The task tsk_1 was decided by Ada."),
        (
            errors.NotAllowed(actor="Ada", verb="cancel", needed="the role operator"),
            "Ada may not cancel: it needs the role operator.",
        ),
        (
            errors.SelfApproval(actor="Ada", task="tsk_1", because="started the run"),
            "Ada cannot decide the task tsk_1: Ada started the run. Somebody else has to.",
        ),
        (
            errors.ReasonMissing(verb="cancel"),
            "`cancel` changes the course of a run: give a reason.",
        ),
        (
            errors.NotSkippable(key="pay", needs="str"),
            (
                "`pay` cannot be skipped: the process goes on with its result (str). "
                "Use complete-by-hand and give that result."
            ),
        ),
        (
            errors.NotEnded(run="run_1", state="parked"),
            "The run run_1 has not ended: it is parked.",
        ),
        (
            errors.PastNotKept(run="run_1"),
            (
                "What run_1 took and gave is not kept any more: its time is over, or a person "
                "was erased. Its log is still there."
            ),
        ),
        (
            errors.SchemaOutdated(found="", needed="0003"),
            (
                "The database is at no migration, this version of newel needs 0003. "
                "Run `newel migrate`."
            ),
        ),
        (
            errors.OutcomeUnreadable(key="payroll.enrol", found="text", expected="a number"),
            "The recorded result of `payroll.enrol` is text, the code now expects a number.",
        ),
        (
            errors.OutcomeUnreadable(found="text", expected="int"),
            "A recorded value is text, the code now expects int.",
        ),
        (errors.PoolerUnsuitable(found="No.", fix="a direct one."), "No. Fix: a direct one."),
        (
            errors.LogInconsistent(at="admin/3", what="`prev` is no hash"),
            "The audit log is wrong at admin/3: `prev` is no hash",
        ),
        (errors.LogInconsistent(at="", what="no leaf"), "no leaf"),
        (
            errors.CheckpointInvalid(origin="a/audit/1", what="no signature"),
            "The checkpoint of a/audit/1 does not verify: no signature",
        ),
        (errors.Cancelled(by="race"), "Cancelled by the race."),
        (errors.Cancelled(reason="withdrawn"), "Cancelled by the run. withdrawn"),
        (errors.LeaseLost(worker="w_3", epoch=4), "The worker w_3 of epoch 4 has lost its lease."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_says_what_is_wrong_where_and_what_to_do(error, sentence):
    """The sentence of an error is built from its facts."""
    assert str(error) == sentence


def test_facts_leave_out_what_is_absent():
    """`facts` gives what is known, without empty places."""
    assert errors.NotFound(kind="run", reference="run_1").facts() == {
        "kind": "run",
        "reference": "run_1",
    }
    assert errors.InvalidInput({}).facts() == {}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (errors.NotSkippable(key="a", needs="b"), "not-skippable"),
        (errors.AuthFailed, "auth-failed"),
        (errors.Bug(), "bug"),
    ],
)
def test_a_problem_type_is_the_class_in_kebab_case(given, name):
    """Errors and their classes are named for problem+json."""
    assert errors.problem_type(given) == name

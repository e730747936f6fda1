"""C34: a refresh token that serves once is spent once, whoever needs a token at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from newel.base.errors import AuthFailed, OutcomeUnknown, Transient
from newel.base.secrets import SecretRef
from newel.connectors.payroll import Gusto
from newel.connectors.rotating import Keeper, Kept, Renewal
from newel.engine.token_keeping import TokenKeeping
from newel.engine.vault import Vault
from newel.simulators.faults import ResetBefore, Status
from newel.simulators.gusto import GustoSimulator
from newel.store.database import Database
from newel.testing.transport import SimulatorTransport
from tests.connectors.support import Time

RENEW = "oauth-access-token"
RENEWAL = Renewal(
    client_id="newel-application",
    client_secret=SecretRef("env:T_C34_SECRET"),
    refresh_token=SecretRef("env:T_C34_REFRESH"),
)
Worker = Callable[..., Gusto]


@pytest.fixture
def sim(time: Time, monkeypatch: pytest.MonkeyPatch) -> GustoSimulator:
    """Gusto, and an application that somebody has authorised."""
    made = GustoSimulator(seed=34, clock=time.world, sleep=time.pause)
    given = made.credentials()
    monkeypatch.setenv("T_C34_SECRET", given["GUSTO_CLIENT_SECRET"])
    authorise(monkeypatch, given["GUSTO_REFRESH_TOKEN"])
    RENEWAL.client_secret.resolve(fresh=True)
    return made


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """What the workers share."""
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def worker(sim: GustoSimulator, time: Time, database: Database) -> Worker:
    """Make the connector of one more worker."""

    def make(keeper: Keeper | None = None, kek: bytes = b"k" * 32) -> Gusto:
        made = Gusto(
            company=sim.company,
            token=RENEWAL,
            transport=SimulatorTransport(sim),
            clock=time.clock,
            pause=time.pause,
        )
        made.keep_tokens_in(keeper or TokenKeeping(database, Vault(kek)))
        return made

    return make


def authorise(monkeypatch: pytest.MonkeyPatch, refresh: str) -> None:
    """Put a refresh token where the reference points."""
    monkeypatch.setenv("T_C34_REFRESH", refresh)
    RENEWAL.refresh_token.resolve(fresh=True)


def renewals(sim: GustoSimulator) -> list[int | None]:
    """The statuses of all renewals."""
    return [each.status for each in sim.calls(operation=RENEW)]


async def test_two_workers_refresh_once_and_both_continue(
    sim: GustoSimulator, time: Time, worker: Worker, database: Database
) -> None:
    """C34: at first, when the token ends, and when it is refused: one request, both go on."""
    one, two = worker(), worker()

    async def both() -> None:
        checks = [each.check() for each in (one, two) for _ in range(10)]
        assert all(found.ok for found in await asyncio.gather(*checks))

    await both()
    assert renewals(sim) == [200]
    time.move(timedelta(seconds=7150))
    await both()
    assert renewals(sim) == [200] * 2
    spoil(sim)
    await both()
    assert renewals(sim) == [200] * 3
    third = worker()  # after a restart
    assert (await third.check()).ok
    assert renewals(sim) == [200] * 3
    (row,) = await database.fetch("select sealed from newel.kept_token")
    secrets = [*sim.store.rows("credentials"), *sim.store.rows("refresh_tokens")]
    assert not [each for each in secrets if each.encode() in row["sealed"]]
    assert not [each for each in secrets if each in f"{vars(one)} {vars(one.http)}"]


def spoil(sim: GustoSimulator) -> None:
    """Let Gusto refuse all tokens that it gave before."""
    for secret, kept in sim.store.rows("credentials").items():
        sim.store.put("credentials", secret, {**kept, "until": "2000-01-01T00:00:00+00:00"})


async def test_a_worker_that_dies_after_spending_is_told_of_and_authorising_helps(
    sim: GustoSimulator, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next worker asks once with what is kept, says what to do, and goes on when it is done."""
    dying = worker()
    credential = dying._renewing
    assert credential is not None
    exchange = credential._exchange

    class Killed(Exception):
        """What ends it between spending and keeping."""

    async def dies(*args: Any) -> Any:  # Any: whatever is exchanged
        await exchange(*args)
        raise Killed

    credential._exchange = dies
    with pytest.raises(Killed):
        await dying.check()
    following = worker()
    with pytest.raises(AuthFailed, match="authorise newel in Gusto anew"):
        await following.check()
    assert renewals(sim) == [200, 400]
    following_token = next(
        token for token, kept in sim.store.rows("refresh_tokens").items() if not kept["is_spent"]
    )
    authorise(monkeypatch, following_token)
    assert (await following.check()).ok
    assert renewals(sim) == [200, 400, 200]


async def test_an_attempt_that_is_cut_off_while_renewing_loses_nothing(
    sim: GustoSimulator, worker: Worker
) -> None:
    """Its time is over after spending: the next refresh token is kept, and others go on with it."""
    one = worker()
    spent, answered = asyncio.Event(), asyncio.Event()
    credential = one._renewing
    assert credential is not None
    exchange = credential._exchange

    async def slowly(*args: Any) -> Any:  # Any: whatever is exchanged
        given = await exchange(*args)
        spent.set()
        await answered.wait()
        return given

    credential._exchange = slowly
    attempt = asyncio.create_task(one.check())
    await spent.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    answered.set()
    assert (await worker().check()).ok
    assert (await one.check()).ok
    assert renewals(sim) == [200]


async def test_what_the_database_could_not_keep_is_kept_later(
    sim: GustoSimulator, worker: Worker, database: Database
) -> None:
    """The database goes away after spending: the next refresh token stays in memory until then."""
    vault = Vault(b"k" * 32)

    class Breaking(TokenKeeping):
        """Loses the connection at the first keeping."""

        breaks = True

        @asynccontextmanager
        async def turn(self, credential: str) -> AsyncIterator[Any]:  # Any: a turn that breaks
            async with super().turn(credential) as turn:
                keep = turn.keep

                class Lost:
                    kept = turn.kept

                    @staticmethod
                    async def keep(kept: Kept) -> None:
                        if Breaking.breaks:
                            Breaking.breaks = False
                            raise asyncpg.ConnectionDoesNotExistError("gone")
                        await keep(kept)

                yield Lost

    one = worker(Breaking(database, vault))
    with pytest.raises(Transient):
        await one.check()
    assert (await one.check()).ok
    assert (await worker().check()).ok
    assert renewals(sim) == [200]


async def test_an_answer_that_does_not_come_spends_nothing_twice_by_itself(
    sim: GustoSimulator, worker: Worker
) -> None:
    """A token endpoint that is down is an outage; what was not spent serves when it is back."""
    one = worker()
    for fault in (Status(503), ResetBefore()):
        sim.fail(RENEW, fault, times=1)
        with pytest.raises((Transient, OutcomeUnknown)):
            await one.check()
    assert (await one.check()).ok


async def test_another_key_or_no_deployment_spends_nothing(
    sim: GustoSimulator, worker: Worker, time: Time
) -> None:
    """Whoever could not keep the next refresh token does not spend the last one."""
    assert (await worker().check()).ok
    with pytest.raises(AuthFailed, match="key-encryption key"):
        await worker(kek=b"x" * 32).check()
    alone = Gusto(
        company=sim.company, token=RENEWAL, transport=SimulatorTransport(sim), clock=time.clock
    )
    with pytest.raises(AuthFailed, match="by a deployment only"):
        await alone.check()
    assert renewals(sim) == [200]

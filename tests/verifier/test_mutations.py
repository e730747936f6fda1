"""Ten thousand random changes to the bytes of a small log: not one goes unnoticed."""

import random

import pytest

from tests.verifier.building import Story, failed, files_of, told, verified

CHANGES = 10_000
CHUNKS = 4


def _flipped(data, chance):
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _set(data, chance):
    at = chance.randrange(len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _removed(data, chance):
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randint(1, 40) :]


def _inserted(data, chance):
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randint(1, 4)) + data[at:]


def _swapped(data, chance):
    one, other = sorted(chance.sample(range(len(data)), 2))
    changed = bytearray(data)
    changed[one], changed[other] = changed[other], changed[one]
    return bytes(changed)


def _repeated(data, chance):
    at, length = chance.randrange(len(data)), chance.randint(1, 80)
    return data[: at + length] + data[at:]


def _emptied(data, chance):
    return b""


CHANGED = (_flipped, _set, _removed, _inserted, _swapped, _repeated, _emptied)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_changed_byte_is_found(chunk):
    """Any change to a checkpoint, a tile or an entry of a sealed log ends with exit code 1."""
    clean = files_of(Story(entries=told(1).entries[:3]), 2)
    assert verified(clean).code() == 0
    names, chance = sorted(clean), random.Random(chunk)
    missed = []
    for _ in range(CHANGES // CHUNKS):
        name, change = chance.choice(names), chance.choice(CHANGED)
        data = change(clean[name], chance)
        if data != clean[name] and not failed(verified(clean | {name: data})):
            missed.append((name, change.__name__, data))
    assert missed == []

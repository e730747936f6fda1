import base64
from itertools import count

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from newel.audit.canonical import leaf_bytes
from newel.audit.personal import (
    PersonKey,
    digest,
    new_key,
    open_field,
    open_payload,
    payload_kid,
    plain_payload,
    seal_field,
    seal_payload,
    unwrap,
    wrap,
)
from newel.base.errors import LogInconsistent

EVENT = "01990a3c-5b1e-7c40-8f2a-6d1e0b7c9a11"
JANE = PersonKey("per_7h3k9m2p5q8r1s4t6v0w2x4y6z/1", bytes(range(32)))
JOHN = PersonKey("per_3q5r7s9t1v3w5x7y9z2a4b6c8d/1", bytes(range(1, 33)))


def chance():
    """Give entropy that counts: deterministic, and never the same twice."""
    numbers = count(1)
    return lambda how_many: next(numbers).to_bytes(how_many, "big")


def test_a_key_is_drawn():
    """A key is 256 bits of the entropy given."""
    assert new_key(lambda how_many: b"\x07" * how_many) == b"\x07" * 32


def test_a_key_does_not_show_itself():
    """Neither `repr` nor `str` of a key tells its bytes."""
    assert repr(JANE) == "PersonKey(kid='per_7h3k9m2p5q8r1s4t6v0w2x4y6z/1')"


def test_a_wrapped_key_is_unwrapped():
    """The key-encryption key gives the person's key back."""
    kek = AESGCM(b"\x01" * 32)
    wrapped = wrap(kek, JANE, chance())
    assert JANE.secret not in wrapped
    assert unwrap(kek, JANE.kid, wrapped) == JANE


@pytest.mark.parametrize("wrong", ["kek", "kid", "byte", "short"])
def test_a_key_is_bound_to_its_name(wrong):
    """Under another key-encryption key or another name, or changed, it does not open."""
    kek = AESGCM(b"\x01" * 32)
    wrapped = wrap(kek, JANE, chance())
    given_kek = AESGCM(b"\x02" * 32) if wrong == "kek" else kek
    kid = JOHN.kid if wrong == "kid" else JANE.kid
    if wrong == "byte":
        wrapped = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    if wrong == "short":
        wrapped = wrapped[:5]
    with pytest.raises(LogInconsistent, match="cannot be unwrapped"):
        unwrap(given_kek, kid, wrapped)


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_a_sealed_payload_opens(plaintext, aad):
    """Sealing and opening is the identity; the bytes name the key and hide the rest."""
    sealed = seal_payload(JANE, plaintext, aad=aad, entropy=chance())
    assert payload_kid(sealed) == JANE.kid
    assert open_payload(sealed, key=JANE, aad=aad) == plaintext
    assert len(sealed) == 2 + len(JANE.kid) + 12 + len(plaintext) + 16


@given(st.binary(max_size=300))
def test_a_payload_about_nobody_is_salted(plaintext):
    """It opens without a key, and equal plaintexts have different digests."""
    entropy = chance()
    one, other = (plain_payload(plaintext, entropy=entropy) for _ in range(2))
    assert open_payload(one, key=None, aad=b"") == plaintext
    assert payload_kid(one) is None
    assert digest(one) != digest(other)


def test_the_form_of_a_payload_is_fixed():
    """Stored payloads are read for ever: these bytes are the form, and their digest."""
    plain = plain_payload(b"{}", entropy=chance())
    sealed = seal_payload(JANE, b"{}", aad=b"run", entropy=chance())
    assert plain.hex() == "00" + "00" * 15 + "01" + "7b7d"
    assert sealed[: 2 + len(JANE.kid)] == b"\x01\x20" + JANE.kid.encode()
    assert sealed[34:46] == b"\0" * 11 + b"\x01"
    assert AESGCM(JANE.secret).decrypt(sealed[34:46], sealed[46:], b"run") == b"{}"
    assert digest(plain) == "72f889b532c346bdfcd3420769d3cb191062f15f21e7de67130baf7a2b6f2448"


@given(st.data())
def test_a_changed_payload_does_not_open(data):
    """Whatever single byte is changed, opening says so or gives nothing of the person's."""
    sealed = bytearray(seal_payload(JANE, b"Jane Doe", aad=b"run", entropy=chance()))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    if sealed[0] == 0:
        assert b"Jane" not in open_payload(bytes(sealed), key=JANE, aad=b"run")
        return
    with pytest.raises(LogInconsistent):
        open_payload(bytes(sealed), key=JANE, aad=b"run")


@pytest.mark.parametrize("wrong", ["aad", "key", "nobody"])
def test_a_payload_opens_only_where_it_belongs(wrong):
    """With another place, another person's key or none, it stays closed."""
    sealed = seal_payload(JANE, b"Jane Doe", aad=b"run", entropy=chance())
    key = {"aad": JANE, "key": JOHN, "nobody": None}[wrong]
    with pytest.raises(LogInconsistent):
        open_payload(sealed, key=key, aad=b"step" if wrong == "aad" else b"run")


@pytest.mark.parametrize("payload", [b"", b"\0short", b"\1", b"\1\x20abc", b"\2" + b"x" * 40])
def test_what_is_no_payload_is_refused(payload):
    """Bytes in neither form are refused."""
    with pytest.raises(LogInconsistent, match="in no known form"):
        payload_kid(payload)


@pytest.mark.parametrize("value", ["Zoë O'Neill 🎉", "", {"a": [1, None, True]}, ["x"], 3, None])
def test_a_sealed_field_opens(value):
    """A personal field opens to the value, and its form can stand in a leaf."""
    sealed = seal_field(JANE, value, event_id=EVENT, pointer="/data/comment", entropy=chance())
    assert list(sealed) == ["enc", "kid", "iv", "ct"]
    assert (sealed["enc"], sealed["kid"]) == ("A256GCM", JANE.kid)
    assert "=" not in sealed["iv"] + sealed["ct"]
    assert leaf_bytes({"comment": sealed})
    assert open_field(JANE, sealed, event_id=EVENT, pointer="/data/comment") == value


def test_the_plaintext_of_a_field_is_canonical():
    """What is sealed is canonical JSON, bound to event and pointer."""
    sealed = seal_field(JANE, {"b": 1, "a": "ü"}, event_id=EVENT, pointer="/x", entropy=chance())
    nonce, text = (
        base64.urlsafe_b64decode(sealed[name] + "=" * (-len(sealed[name]) % 4))
        for name in ("iv", "ct")
    )
    opened = AESGCM(JANE.secret).decrypt(nonce, text, f"{EVENT}\n/x".encode())
    assert opened == '{"a":"ü","b":1}'.encode()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kid": JOHN.kid}, "under another key"),
        ({"enc": "none"}, "under another key"),
        ({"ct": "AAAA"}, "changed or moved"),
        ({"iv": "AAAA"}, "changed or moved"),
        ({"iv": "!"}, "changed or moved"),
        ({"iv": None}, "changed or moved"),
        ({"pointer": "/data/other"}, "changed or moved"),
        ({"event_id": EVENT.replace("0", "1")}, "changed or moved"),
    ],
)
def test_a_field_opens_only_where_it_stands(change, what):
    """Moved to another event or place, changed, or under another key, it stays closed."""
    place = {"event_id": EVENT, "pointer": "/data/comment"}
    sealed = seal_field(JANE, "Jane Doe", **place, entropy=chance())
    place |= {name: value for name, value in change.items() if name in place}
    sealed |= {name: value for name, value in change.items() if name in sealed}
    if sealed["iv"] is None:
        del sealed["iv"]
    with pytest.raises(LogInconsistent, match=what):
        open_field(JANE, sealed, **place)

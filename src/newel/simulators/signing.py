"""Keys and signed assertions of the simulated world: the same seed gives the same RSA key.

Google and Salesforce verify an RS256 assertion against a public key. The key pair is derived from
the seed, so that the process that signs and the process that verifies need not talk to each other,
and a demo that is started again still knows its credentials. Such a key protects nothing but a
simulation. Source: RFC 7515 (JWS), RFC 7519 (JWT), RFC 7523 (JWT bearer grant).
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import shake_256
from itertools import count

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from .wire import Document

EXPONENT = 65537
PRIME_BITS = 1024
_SMALL_PRIMES = tuple(n for n in range(3, 4000) if all(n % d for d in range(2, int(n**0.5) + 1)))


class Malformed(ValueError):
    """An assertion is not a JWT signed with the expected key."""


@lru_cache(maxsize=8)
def private_key(seed: int) -> rsa.RSAPrivateKey:
    """Derive the world's 2048-bit key from its seed: a fraction of a second, once a process."""
    candidates = _primes(seed)
    p, q = next(candidates), next(candidates)
    phi = (p - 1) * (q - 1)
    d = pow(EXPONENT, -1, phi)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    )
    return numbers.private_key()


def _primes(seed: int) -> Iterator[int]:
    """Give the primes that follow from the seed, each just above a derived starting point."""
    for number in count():
        digest = shake_256(f"newel simulators/{seed}/prime/{number}".encode()).digest(
            PRIME_BITS // 8
        )
        # The two highest bits are set, so that the product of two has its full length.
        candidate = int.from_bytes(digest) | (3 << (PRIME_BITS - 2)) | 1
        while not _is_prime(candidate):
            candidate += 2
        if (candidate - 1) % EXPONENT:
            yield candidate


def _is_prime(candidate: int) -> bool:
    """Test by trial division, then by Miller and Rabin with the first bases."""
    if any(candidate % prime == 0 for prime in _SMALL_PRIMES):
        return False
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_is_probable(candidate, base, odd, twos) for base in (2, 3, 5, 7, 11, 13, 17, 19))


def _is_probable(candidate: int, base: int, odd: int, twos: int) -> bool:
    x = pow(base, odd, candidate)
    if x in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % candidate
        if x == candidate - 1:
            return True
    return False


def private_pem(seed: int) -> str:
    """Give the key in PEM (PKCS #8), as vendors hand it out."""
    return (
        private_key(seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )


def verified_claims(assertion: str, seed: int) -> Document:
    """Give the claims of an RS256 JWT signed with the world's key. Raises Malformed."""
    try:
        head, claims, signature = assertion.split(".")
        header = json.loads(_decoded(head))
        document = json.loads(_decoded(claims))
        signed = f"{head}.{claims}".encode()
        if header.get("alg") != "RS256" or not isinstance(document, dict):
            raise Malformed("the assertion is not an RS256 JWT")
        private_key(seed).public_key().verify(
            _decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature as wrong:
        raise Malformed("Invalid signature for token.") from wrong
    except (ValueError, AttributeError, binascii.Error) as wrong:
        raise Malformed("the assertion is not a signed JWT") from wrong
    return document


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

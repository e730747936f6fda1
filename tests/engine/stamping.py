"""A time stamping authority on loopback: `openssl ts` answers, under a key made for the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastapi import FastAPI, Request, Response

from tests.web.serving import served

_CONF: Final = """
[tsa]
default_tsa = here
[here]
serial = {0}/serial
signer_cert = {0}/signer.pem
signer_key = {0}/signer.key
certs = {0}/signer.pem
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
"""


@contextlib.asynccontextmanager
async def authority(folder: Path) -> AsyncIterator[str]:
    """Run an authority; answers with its address. `root.pem` in the folder is its certificate.

    At `/other` it stamps what it was not asked for, `/gone` is not there, `/noise` is no stamp.
    """
    _certificates(folder)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONF.format(folder))
    earlier: list[bytes] = []
    app = FastAPI()

    @app.post("/")
    async def stamp(request: Request) -> Response:
        assert request.headers["content-type"] == "application/timestamp-query"
        earlier.append(await _stamped(folder, await request.body()))
        return Response(earlier[-1], media_type="application/timestamp-reply")

    @app.post("/other")
    async def other() -> Response:
        return Response(earlier[0])

    @app.post("/noise")
    async def noise() -> Response:
        return Response(b"\x30\x03noise")

    async with served(app) as url:
        yield url


async def openssl(*arguments: object) -> bytes:
    """Run openssl; its standard output."""
    pipe = asyncio.subprocess.PIPE
    started = asyncio.create_subprocess_exec(
        "openssl", *map(str, arguments), stdout=pipe, stderr=pipe
    )
    process = await started
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out


async def _stamped(folder: Path, query: bytes) -> bytes:
    with TemporaryDirectory() as scratch:
        asked, told = Path(scratch, "query"), Path(scratch, "reply")
        asked.write_bytes(query)
        conf = folder / "tsa.cnf"
        await openssl("ts", "-reply", "-config", conf, "-queryfile", asked, "-out", told)
        return told.read_bytes()


def _certificates(folder: Path) -> None:
    """Make a root and the certificate of a signer of time stamps, which it vouches for."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _named("test root"), _named("test authority")
    is_root = x509.BasicConstraints(ca=True, path_length=None)
    root = _builder(root_name, root_name, root_key).add_extension(is_root, critical=True)
    stamps = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    signer = _builder(name, root_name, key).add_extension(stamps, critical=True)
    for file, each in (("root.pem", root), ("signer.pem", signer)):
        (folder / file).write_bytes(each.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "signer.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )

"""The signature that S3 and what speaks its protocol ask for: Signature Version 4, in the header.

Only what copies of checkpoints need: the whole body is hashed, and addresses hold nothing that
would have to be written in another way to be signed.
Source: AWS General Reference, "Create a signed AWS API request" (read November 2026).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from newel.base.secrets import Secret

__all__ = ["Signer"]


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose requests they are; identity: of the key, which is told; secret: which never is."""

    identity: str
    secret: Secret
    region: str
    service: str = "s3"

    def signed(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> dict[str, str]:
        """Give all headers of a request that is sent now; now: aware, in UTC.

        url: with its query, sorted by name and escaped already, as it is sent.
        """
        digest = hashlib.sha256(body).hexdigest()
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(url)
        sent = {name.lower(): value for name, value in headers.items()}
        sent |= {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": moment}
        named = ";".join(sorted(sent))
        told = [f"{name}:{sent[name]}\n" for name in sorted(sent)]
        request = "\n".join([method, parts.path, parts.query, "".join(told), named, digest])
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.identity}/{scope}, "
            f"SignedHeaders={named}, Signature={self._signature(scope, text)}"
        )
        return sent

    def _signature(self, scope: str, text: str) -> str:
        key = b"AWS4" + self.secret.reveal().encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()

"""A server of S3 that judges signatures, rights and locks: moto, over HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import settings
from moto.server import ThreadedMotoServer

_MAY = ("s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucketVersions")


@dataclass(frozen=True, slots=True)
class Store:
    """The server; owner: who may do everything; identity, secret: a key with the rights we ask."""

    url: str
    owner: Any
    identity: str
    secret: str

    def anchor(self, place: str, **more: str) -> str:
        """Name a place of this server as the setting does."""
        keys = {"id": "env:BUCKET_ID", "secret": "env:BUCKET_SECRET"} | more
        return " ".join([f"s3:{self.url}/{place}", *(f"{a}={b}" for a, b in keys.items())])


@contextmanager
def store() -> Iterator[Store]:
    """Run a server with the buckets `locked` and `open`; from then on it asks who somebody is."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    root = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "root",
        "aws_secret_access_key": "root",
    }
    before = settings.INITIAL_NO_AUTH_ACTION_COUNT
    try:
        owner, iam = boto3.client("s3", **root), boto3.client("iam", **root)
        owner.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        owner.create_bucket(Bucket="open")
        newel, all_of_it = _key(iam, "newel", _MAY), _key(iam, "owner", ("s3:*",))
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        root |= {"aws_access_key_id": all_of_it[0], "aws_secret_access_key": all_of_it[1]}
        yield Store(url, boto3.client("s3", **root), *newel)
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before
        server.stop()


def _key(iam: Any, name: str, may: Sequence[str]) -> tuple[str, str]:
    """Make somebody who may do this, and give the two halves of their key."""
    rule = {"Effect": "Allow", "Action": list(may), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]

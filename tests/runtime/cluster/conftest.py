"""A cluster of this machine for the tests of a file, and an object store."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from n2b.runtime.cluster.pool import connect
from n2b.runtime.cluster.settings import LOCAL


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """An S3 server and its client; pyarrow, here and in processes started from here, uses it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        client = boto3.client("s3")
        yield client
        client.close()
    server.stop()


@pytest.fixture
def bucket(s3_server: Any) -> str:
    """The address of a new bucket."""
    name = f"bucket-{secrets.token_hex(8)}"
    s3_server.create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="module")
def cluster(s3_server: Any) -> Iterator[None]:  # noqa: ARG001, its processes get the server's address
    """Commands with --ray in this process use this cluster."""
    with connect(LOCAL):
        yield

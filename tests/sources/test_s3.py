"""Requester-pays buckets: what is asked, what it costs, and that no byte is paid for twice; on a bucket of this file's own."""

import hashlib
import http.server
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dagster_project.fetch import s3
from dagster_project.fetch.client import Client, NotThereError, StoppedError
from dagster_project.fetch.hosts import Host
from dagster_project.lib.errors import DataError, UsageError

BODY = bytes(number * 7 % 251 for number in range(3_000_000))
KEY = "node_fills_by_block/hourly/20251010/21.lz4"
ACCESS, SECRET = "AKIDOFATESTABCD", "secret-of-a-test"
CAP = "DELEVER_TEST_MAX_USD"


@dataclass
class Store:
    """What the bucket holds, how it misbehaves, and what it was asked."""

    objects: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    breaks_after: int | None = None
    sent: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def tag(self, key: str) -> str:
        return f'"{hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()}"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.store.asked.append((self.command, self.path, headers))
        key = self.path.removeprefix("/prefix/a-bucket/")
        if self.store.status != 200:
            # AWS repeats the key's name in some of its errors.
            self.refuse(
                self.store.status, f"<Error><Code>Denied</Code><AWSAccessKeyId>{ACCESS}</AWSAccessKeyId></Error>"
            )
        elif headers.get("x-amz-request-payer") != "requester":
            self.refuse(403, "<Error><Code>AccessDenied</Code></Error>")
        elif key not in self.store.objects:
            self.refuse(404, "<Error><Code>NoSuchKey</Code></Error>")
        elif headers.get("if-match") not in {None, self.store.tag(key)}:
            self.refuse(412, "<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.give(self.store.objects[key], self.store.tag(key), headers.get("range"))

    def refuse(self, status: int, text: str) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def give(self, body: bytes, tag: str, wanted: str | None) -> None:
        first, _, last = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) + 1 if last else len(body)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(end - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        part = body[start:end][: self.store.breaks_after]
        # Counted first: a client that has read everything may look before this thread goes on.
        self.store.sent += len(part)
        self.wfile.write(part)
        if self.store.breaks_after is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    made = Store({KEY: BODY})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": made}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DELEVER_URL_A_STORE", f"http://127.0.0.1:{server.server_port}/prefix")
    monkeypatch.setenv("DELEVER_RETRY_SECONDS", "0.002")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    yield made
    server.shutdown()
    server.server_close()


BUCKET = s3.Bucket(
    "a-bucket", "ap-northeast-1", Host("a_store", "https://s3.ap-northeast-1.amazonaws.com", ((10, 1.0),))
)


def found() -> s3.StoredObject:
    return s3.find(BUCKET, [KEY])[KEY]


def fetched(folder: Path, wanted: s3.StoredObject | None = None) -> bytes:
    with Client(retry_seconds=0.002) as client:
        piece = s3.fetch_object(client, wanted or found(), folder, "21.lz4")
    assert piece.origin == f"s3://a-bucket/{KEY}"
    assert piece.file is not None
    return piece.file.read_bytes()


def test_sizes_are_asked_before_anything_is_fetched(store: Store) -> None:
    sizes = s3.find(BUCKET, [KEY, "node_fills_by_block/hourly/20251010/22.lz4"])
    assert {key: one.size for key, one in sizes.items()} == {KEY: 3_000_000}, "what is not there is not an error"
    assert {method for method, _, _ in store.asked} == {"HEAD"}
    for _, _, headers in store.asked:
        assert headers["x-amz-request-payer"] == "requester"
        assert f"{ACCESS}/" in headers["authorization"]
        assert "/ap-northeast-1/s3/" in headers["authorization"]
        assert SECRET not in str(headers)


def test_object_arrives_whole(store: Store, tmp_path: Path) -> None:
    assert fetched(tmp_path) == BODY
    assert store.sent == len(BODY)
    assert {path.name for path in tmp_path.iterdir()} == {"21.lz4"}


def test_session_token_is_sent_where_there_is_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-a-test")
    found()
    assert store.asked[-1][2]["x-amz-security-token"] == "token-of-a-test"


def test_broken_download_goes_on_where_it_was(store: Store, tmp_path: Path) -> None:
    wanted = found()
    (tmp_path / "21.lz4.partial").write_bytes(BODY[:1_000_000])
    (tmp_path / "21.lz4.partial.etag").write_text(wanted.tag)
    assert fetched(tmp_path, wanted) == BODY
    assert store.sent == 2_000_000, "what is here is not paid for again"
    assert store.asked[-1][2]["range"] == "bytes=1000000-2999999"


def test_connection_that_breaks_again_and_again_is_no_endless_bill(store: Store, tmp_path: Path) -> None:
    store.breaks_after = 400_000
    wanted = found()
    try:
        body = fetched(tmp_path, wanted)
    except DataError as error:
        assert KEY in str(error)
        store.breaks_after = None
        body = fetched(tmp_path, wanted)
    assert body == BODY
    assert store.sent < 2 * len(BODY), "each attempt began where the one before had ended"


def test_beginning_of_another_edition_is_thrown_away(store: Store, tmp_path: Path) -> None:
    (tmp_path / "21.lz4.partial").write_bytes(b"x" * 1_000_000)
    (tmp_path / "21.lz4.partial.etag").write_text('"of another edition"')
    assert fetched(tmp_path) == BODY
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "21.lz4.partial").write_bytes(b"x" * 1_000_000)
    assert fetched(tmp_path / "other") == BODY, "without a tag nobody knows whose beginning it is"


def test_object_that_changes_between_asking_and_fetching_is_refused(store: Store, tmp_path: Path) -> None:
    wanted = found()
    store.objects[KEY] = BODY[:-1] + b"\x00"
    with pytest.raises(DataError, match="has changed since its size was asked"):
        fetched(tmp_path, wanted)
    assert not (tmp_path / "21.lz4").exists()


def test_object_that_is_gone_is_not_there(store: Store, tmp_path: Path) -> None:
    wanted = found()
    store.objects.clear()
    with pytest.raises(NotThereError, match=KEY):
        fetched(tmp_path, wanted)


def test_object_beyond_the_bound_is_not_fetched(store: Store, tmp_path: Path) -> None:
    huge = s3.StoredObject(BUCKET, KEY, s3.MAX_OBJECT_BYTES + 1, "")
    with pytest.raises(DataError, match="more than"):
        fetched(tmp_path, huge)
    assert store.asked == []


def test_more_bytes_than_were_told_are_not_taken(store: Store, tmp_path: Path) -> None:
    lied = s3.StoredObject(BUCKET, KEY, 1000, store.tag(KEY))
    with pytest.raises(DataError, match="something else than its bytes from 0 on"):
        fetched(tmp_path, lied)
    assert not (tmp_path / "21.lz4").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_keys_that_are_not_accepted_stop_at_once_and_are_not_shown(store: Store, tmp_path: Path, status: int) -> None:
    wanted = found()
    store.asked.clear()
    store.status = status
    with pytest.raises(StoppedError) as refused:
        s3.find(BUCKET, [KEY, "b", "c"])
    assert len(store.asked) == 1
    assert "does not accept the keys" in str(refused.value)
    assert ACCESS not in str(refused.value)
    assert SECRET not in str(refused.value)
    with pytest.raises(StoppedError) as refused:
        fetched(tmp_path, wanted)
    # AWS repeats the key's name in the body of such an answer.
    assert ACCESS not in str(refused.value)


def test_server_that_fails_is_asked_again_and_then_named(store: Store) -> None:
    store.status = 500
    with pytest.raises(DataError, match=KEY):
        found()
    assert len(store.asked) > 1


def test_redirect_is_not_followed(store: Store) -> None:
    store.status = 307
    with pytest.raises(StoppedError, match="redirected to '/elsewhere'"):
        found()
    assert {path for _, path, _ in store.asked} == {f"/prefix/a-bucket/{KEY}"}


def test_keys_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(UsageError, match="set AWS_SECRET_ACCESS_KEY in the environment"):
        s3.find(BUCKET, [KEY])


def test_plain_http_is_for_this_machine_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_URL_A_STORE", "http://s3.example.org")
    with pytest.raises(UsageError, match="https"):
        s3.find(BUCKET, [KEY])
    assert store.asked == []


# --- signatures ---


def test_signature_is_that_of_the_example_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Example: GET Object"."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
    }
    made = s3.authorization("GET", "/test.txt", headers, "us-east-1", "20130524")
    assert made == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_another_library_signs_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of obstore, a library of others for S3, has the signature that is made here of its headers."""
    obstore = pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/of+a=test")
    endpoint = BUCKET.host.base()
    other = obstore.store.S3Store(
        "a-bucket",
        config={"session_token": "token/of+a=test"},
        region="ap-northeast-1",
        endpoint=endpoint,
        virtual_hosted_style_request=False,
        request_payer=True,
        client_options={"allow_http": True},
    )
    assert obstore.head(other, KEY)["size"] == len(BODY)
    method, path, headers = store.asked[-1]
    theirs = headers["authorization"].replace(" ", "")
    moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    mine = s3.signed_headers(method, headers["host"], path, "ap-northeast-1", moment)
    assert mine["authorization"].replace(" ", "") == theirs
    assert {name: headers[name] for name in mine if name != "authorization"} == {
        name: value for name, value in mine.items() if name != "authorization"
    }


# --- cost ---


def stored(gigabytes: float, region: str = "ap-northeast-1") -> s3.StoredObject:
    return s3.StoredObject(s3.Bucket("b", region, BUCKET.host), "k", int(gigabytes * 10**9), "")


def test_cost_is_traffic_and_requests_at_list_prices() -> None:
    # 100 GB out of Tokyo at 0.114 USD, 10 GB out of Virginia at 0.09 USD, and two requests each at 0.0004 USD a thousand.
    assert s3.Cost.of([stored(100)]).usd == pytest.approx(11.4 + 0.0000008, abs=1e-9)
    assert s3.Cost.of([stored(10, "us-east-1")]).usd == pytest.approx(0.9 + 0.0000008, abs=1e-9)
    # A day of the archive at about one GB.
    assert s3.Cost.of([stored(1 / 24) for _ in range(24)]).cents_up == 0.12


@pytest.mark.parametrize(
    ("usd", "shown"), [(0.0000008, 0.01), (0.01, 0.01), (0.0100001, 0.02), (1.239, 1.24), (0.0, 0.0)]
)
def test_amounts_are_rounded_up_to_a_cent(usd: float, shown: float) -> None:
    assert s3.Cost(1, 1, usd).cents_up == shown


def test_cap_is_zero_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAP, raising=False)
    with pytest.raises(UsageError) as refused:
        s3.approve([stored(2), stored(3)], CAP, "some fills")
    told = str(refused.value)
    assert told.startswith("some fills: 2 objects, 4.657 GiB, about 0.58 USD at AWS list prices")
    assert f"{CAP} allows 0 USD a run, so nothing was downloaded. Set it to 0.58 or more" in told


def test_cost_within_the_cap_is_said_before_it_arises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CAP, "0.60")
    with caplog.at_level(logging.WARNING):
        cost = s3.approve([stored(5)], CAP, "some fills")
    assert cost.objects == 1
    assert "some fills: 1 objects, 4.657 GiB, about 0.58 USD" in caplog.text
    monkeypatch.setenv(CAP, "0.56")
    with pytest.raises(UsageError, match=r"allows 0\.56 USD"):
        s3.approve([stored(5)], CAP, "some fills")


def test_nothing_to_fetch_needs_no_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAP, raising=False)
    assert s3.approve([], CAP, "some fills").usd == 0


@pytest.mark.parametrize("text", ["much", "-1", "inf", "nan"])
def test_cap_that_is_no_amount_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAP, text)
    with pytest.raises(UsageError, match="give an amount of USD"):
        s3.approve([stored(1)], CAP, "some fills")


def test_landed_file_gets_another_name_without_another_copy(tmp_path: Path) -> None:
    source = tmp_path / "landed.lz4"
    source.write_bytes(BODY)
    source.chmod(0o444)
    made = s3.link_or_copy(source, tmp_path, "again.lz4")
    assert made.read_bytes() == BODY
    assert made.stat().st_ino == source.stat().st_ino

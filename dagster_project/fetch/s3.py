"""Buckets that bill whoever reads them: sizes are asked first, the cost is told, and nothing is fetched beyond a cap.

AWS bills requests and traffic of a requester-pays bucket to the account whose keys sign them. Prices here are AWS's public list
prices (aws.amazon.com/s3/pricing, first tier); free allowances, discounts and taxes are not known to this program. A GB is
counted as 10^9 bytes, so that the bill is not above the estimate.

Requests are signed here (AWS Signature Version 4: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html) and sent
by the client that all connectors use, because the libraries for S3 follow redirects.
"""

import hashlib
import hmac
import logging
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from dagster_project.fetch.client import AgainError, Client, NotThereError, Request, StoppedError
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.secrets import Secret
from dagster_project.fetch.tasks import Piece
from dagster_project.lib.errors import DataError, UsageError

USD_PER_GB_OUT = {"us-east-1": 0.09, "ap-northeast-1": 0.114}
"""Data transfer out to the internet by region of the bucket: AWS S3 price list, first 10 TB a month."""

USD_PER_1000_READS = 0.0004
"""GET, and HEAD, which is billed alike: AWS S3 price list, us-east-1 (Tokyo asks 0.00037)."""

BYTES_PER_GB = 10**9
MAX_OBJECT_BYTES = 4 * 1024**3
"""An hour of all fills is a tenth of this."""

ID_VARIABLE, SECRET_VARIABLE, TOKEN_VARIABLE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
ASKERS = 8
"""Sizes asked for at once."""

_NO_BODY = hashlib.sha256(b"").hexdigest()
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bucket:
    """A requester-pays bucket.

    Args:
        name: Of the bucket.
        region: Where it lies: it decides the signature and the price.
        host: Its endpoint, which ``DELEVER_URL_<NAME>`` overrides.
    """

    name: str
    region: str
    host: Host

    def shown(self, key: str) -> str:
        """An object's address as it may be written down."""
        return f"s3://{self.name}/{key}"

    def request(self, key: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Request:
        """A question for an object, signed when it is sent.

        Raises:
            UsageError: The keys are not in the environment.
        """
        missing = [name for name in (ID_VARIABLE, SECRET_VARIABLE) if not os.environ.get(name)]
        if missing:
            raise UsageError(
                f"s3://{self.name} is read at the expense of whoever asks, so it needs the keys of an AWS account: set "
                f"{' and '.join(missing)} in the environment."
            )
        path = f"/{self.name}/{quote(key)}"

        def sign(query: dict[str, str], plain: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
            address = urlsplit(self.host.base() + path)
            return query, plain | signed_headers(method, address.netloc, address.path, self.region, datetime.now(UTC))

        return Request(self.host, path, headers=headers or {}, secret=Secret(sign), method=method)


def signed_headers(method: str, host: str, path: str, region: str, now: datetime) -> dict[str, str]:
    """Headers of a request without body or query at the requester's expense, with the signature of the environment's keys.

    Args:
        method: GET or HEAD.
        host: As the header of that name will have it.
        path: Percent-encoded.
        region: Of the bucket.
        now: The moment of sending.
    """
    stamp, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    headers = {"x-amz-content-sha256": _NO_BODY, "x-amz-date": stamp, "x-amz-request-payer": "requester"}
    if token := os.environ.get(TOKEN_VARIABLE):
        headers["x-amz-security-token"] = token
    return headers | {"authorization": authorization(method, path, {"host": host} | headers, region, day)}


def authorization(method: str, path: str, headers: Mapping[str, str], region: str, day: str) -> str:
    """The header ``Authorization`` of Signature Version 4 over all headers given, lower-case names, for no query.

    Args:
        method: Of the request.
        path: Percent-encoded.
        headers: ``host``, ``x-amz-content-sha256``, ``x-amz-date`` and any others that are to be signed.
        region: Of the bucket.
        day: Of ``x-amz-date``.
    """
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            method,
            path,
            "",
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            headers["x-amz-content-sha256"],
        ]
    )
    scope = f"{day}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = f"AWS4{os.environ[SECRET_VARIABLE]}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{os.environ[ID_VARIABLE]}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"


@dataclass(frozen=True)
class StoredObject:
    """An object that is there.

    Args:
        bucket: Where.
        key: Its name.
        size: In bytes.
        tag: Its ETag: another one is another edition.
    """

    bucket: Bucket
    key: str
    size: int
    tag: str

    @property
    def shown(self) -> str:
        """Its address as it may be written down."""
        return self.bucket.shown(self.key)


@dataclass(frozen=True)
class Cost:
    """What fetching some objects comes to.

    Args:
        objects: How many.
        bytes: Their sizes together.
        usd: At list prices.
    """

    objects: int
    bytes: int
    usd: float

    @classmethod
    def of(cls, objects: Iterable[StoredObject]) -> "Cost":
        """Traffic out of each object's region, one HEAD and one GET each."""
        listed = list(objects)
        usd = sum(
            one.size / BYTES_PER_GB * USD_PER_GB_OUT[one.bucket.region] + 2 * USD_PER_1000_READS / 1000
            for one in listed
        )
        return cls(len(listed), sum(one.size for one in listed), usd)

    @property
    def cents_up(self) -> float:
        """USD, rounded up to a cent."""
        return math.ceil(self.usd * 100 - 1e-9) / 100

    def __str__(self) -> str:
        return (
            f"{self.objects} objects, {self.bytes / 1024**3:.3f} GiB, about {self.cents_up:.2f} USD at AWS list prices"
        )


def find(bucket: Bucket, keys: Sequence[str]) -> dict[str, StoredObject]:
    """Ask for sizes.

    Returns:
        Objects that are there, by key.

    Raises:
        UsageError: The keys of the account are not in the environment.
        StoppedError: They are not accepted.
        DataError: No usable answer.
    """
    with Client() as client:

        def ask(key: str) -> StoredObject | None:
            request = bucket.request(key, "HEAD")

            def attempt() -> StoredObject:
                with client.stream(request) as response:
                    size = response.headers.get("content-length", "")
                    if not size.isdigit():
                        raise AgainError("answered without a size")
                    return StoredObject(bucket, key, int(size), response.headers.get("etag", ""))

            try:
                return client.retrying(attempt, request.shown)
            except NotThereError:
                return None
            except StoppedError as error:
                raise _of_keys(error) from error

        # One alone first: where the keys are not accepted, that is said once.
        found = [ask(key) for key in keys[:1]]
        with ThreadPoolExecutor(ASKERS, thread_name_prefix="head") as pool:
            found += pool.map(ask, keys[1:])
    return {one.key: one for one in found if one is not None}


def approve(objects: Sequence[StoredObject], cap_variable: str, what: str) -> Cost:
    """Compare the cost of a run with the cap of the environment, and say it.

    Args:
        objects: What the run would fetch.
        cap_variable: Holds the most USD that one run may cost; 0 when not set.
        what: What is fetched, for people.

    Returns:
        The cost.

    Raises:
        UsageError: It is above the cap, or the cap is no amount.
    """
    text = os.environ.get(cap_variable, "").strip() or "0"
    try:
        cap = float(text)
    except ValueError:
        cap = math.nan
    if not 0 <= cap < math.inf:
        raise UsageError(f"{cap_variable}: give an amount of USD, e.g. 2.50, not '{text}'.")
    cost = Cost.of(objects)
    if cost.objects and (cost.usd > cap or cap == 0):
        raise UsageError(
            f"{what}: {cost}, which AWS bills to the account of your keys. {cap_variable} allows {cap:g} USD a run, so nothing "
            f"was downloaded. Set it to {cost.cents_up:.2f} or more, or ask for fewer days."
        )
    if cost.objects:
        _LOG.warning("%s: %s, billed by AWS to the account of your keys (%s=%g).", what, cost, cap_variable, cap)
    return cost


def fetch_object(client: Client, wanted: StoredObject, folder: Path, name: str) -> Piece:
    """Fetch one object, going on from what an interrupted attempt left.

    Args:
        client: For requests.
        wanted: As ``find`` told.
        folder: For the file, and for its ``.partial`` while it is incomplete.
        name: Of the file.

    Raises:
        NotThereError: It is gone.
        StoppedError: The keys are not accepted, or the answer is a redirect.
        DataError: It is another edition than was found, too large, or no attempt ended.
    """
    if not re.fullmatch(r"[A-Za-z0-9._\-]{1,200}", name) or name.startswith("."):
        raise DataError(f"{wanted.shown}: '{name}' is not a plain file name; not fetched.")
    if wanted.size > MAX_OBJECT_BYTES:
        raise DataError(f"{wanted.shown}: has {wanted.size} bytes, more than {MAX_OBJECT_BYTES}; not fetched.")
    partial, target = folder / f"{name}.partial", folder / name
    try:
        client.retrying(lambda: _fetch_rest(client, wanted, partial), wanted.bucket.request(wanted.key).shown)
    except StoppedError as error:
        raise _of_keys(error) from error
    partial.replace(target)
    _tag_file(partial).unlink(missing_ok=True)
    return Piece(name=name, origin=wanted.shown, file=target)


def link_or_copy(source: Path, folder: Path, name: str) -> Path:
    """Another name in ``folder`` for a landed file, which never changes; a copy where the file system has no such links."""
    target = folder / name
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _of_keys(error: StoppedError) -> StoppedError:
    """The same, and what it means of such a bucket."""
    return StoppedError(
        f"{error} For a bucket of this kind 401 and 403 mean that AWS does not accept the keys, or that their account may not "
        "read at its own expense."
    )


def _tag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _fetch_rest(client: Client, wanted: StoredObject, partial: Path) -> None:
    have = _begun(partial, wanted)
    if have < wanted.size:
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={have}-{wanted.size - 1}"}
        with client.stream(wanted.bucket.request(wanted.key, headers=headers)) as response:
            if response.headers.get("etag", "") != wanted.tag:
                raise DataError(f"{wanted.shown}: has changed since its size was asked; run it again.")
            span = f"bytes {have}-{wanted.size - 1}/{wanted.size}"
            if response.status_code != 206 or response.headers.get("content-range") != span:
                partial.unlink(missing_ok=True)
                raise AgainError(f"answered with something else than its bytes from {have} on")
            _tag_file(partial).write_text(wanted.tag)
            with partial.open("ab") as out:
                for part in response.iter_raw():
                    have += len(part)
                    if have > wanted.size:
                        break
                    out.write(part)
    if have != wanted.size:
        raise AgainError(f"broke off after {have} of {wanted.size} bytes")


def _begun(partial: Path, wanted: StoredObject) -> int:
    """How many bytes of this very edition are here; the beginning of another, or of nobody knows which, is thrown away."""
    if not partial.exists():
        partial.touch()
    tag_file = _tag_file(partial)
    size = partial.stat().st_size
    if size and (not wanted.tag or not tag_file.exists() or tag_file.read_text() != wanted.tag or size > wanted.size):
        partial.write_bytes(b"")
        return 0
    return size

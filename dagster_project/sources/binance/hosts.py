"""Binance's hosts, what they count, and the signature that one endpoint wants.

Weights and limits: developers.binance.com, derivatives, USD-M and COIN-M (2400 of weight a minute and address). The endpoints
of ``/futures/data`` (1000 requests in 5 minutes) and ``fundingRate`` (500 in 5 minutes) of USD-M are counted apart from it and
from each other. Each rate here is about half of what is documented: other programs may ask from the same address.
"""

import hashlib
import hmac
import os
from typing import Any
from urllib.parse import urlencode

from dagster_project.fetch.client import now_ms
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.fetch.secrets import Secret

NAME = "binance"
KEY, SECRET = "DELEVER_BINANCE_KEY", "DELEVER_BINANCE_SECRET"

_RATE_CODES = {-1003, -1015}
_PASSING_CODES = {-1000, -1001, -1006, -1007, -1008, -1016}
_GONE_CODES = {-1121, -1122, -4108}
"""No such symbol; a status in which it answers nothing; delivered, settled, closed or not trading yet."""


def refusal(document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    """The error in a body: an object with ``code`` and ``msg``, which no answer of an endpoint asked here has."""
    if not isinstance(document, dict) or "code" not in document or "msg" not in document:
        return None
    code, text = document["code"], f"answered code {document['code']}: {document['msg']}"
    if code in _RATE_CODES:
        return Refusal("rate", text)
    if code in _GONE_CODES:
        return Refusal("absent", text)
    return Refusal("retry" if code in _PASSING_CODES else "stop", text)


_UM_URL = "https://fapi.binance.com"

UM = Host("binance_um", _UM_URL, ((1200, 60.0),), refusal)
UM_DATA = Host("binance_um_data", _UM_URL, ((500, 300.0),), refusal, shared="binance_um")
UM_FUNDING = Host("binance_um_funding", _UM_URL, ((250, 300.0),), refusal, shared="binance_um")
CM = Host("binance_cm", "https://dapi.binance.com", ((1200, 60.0),), refusal)
ARCHIVE = Host("binance_archive", "https://data.binance.vision", ((20, 1.0),))

REST = {"um": UM, "cm": CM}
PATHS = {"um": "/fapi/v1/", "cm": "/dapi/v1/"}
"""What each market's documented endpoints begin with."""


def bars_weight(limit: int) -> int:
    """Weight of a request for bars, by its ``limit``."""
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def signature() -> Secret | None:
    """The key and signature of the environment; None where either is missing.

    The signature is the HMAC-SHA256 of the query as it is sent, the time of sending included.
    """
    key, secret = os.environ.get(KEY), os.environ.get(SECRET)
    if not key or not secret:
        return None

    def sign(query: dict[str, str], headers: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        stamped = query | {"timestamp": str(now_ms())}
        digest = hmac.new(secret.encode(), urlencode(stamped).encode(), hashlib.sha256).hexdigest()
        return stamped | {"signature": digest}, headers | {"X-MBX-APIKEY": key}

    return Secret(sign)

"""DefiLlama's free API (``defillama``): open interest of perpetual exchanges on chain, in USD, a value a day."""

from typing import Any

from venue_server.contracts import seed_of
from venue_server.text import DAY, at
from venue_server.wire import Reply, Request, json_reply
from venue_server.world import World, draw

SINCE = at("2023-06-01")
PROTOCOLS = (("Hyperliquid Perps", "hyperliquid-perps", "Hyperliquid L1"), ("dYdX V4", "dydx-v4", "dYdX"))


class DefiLlama:
    """Answers of the overview endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.path == "/overview/derivatives":
            return json_reply({"message": "Upgrade to the Pro API to use this endpoint"}, 402)
        if request.path != "/overview/open-interest":
            return json_reply({"message": "Not Found"}, 404)
        today = self._world.now // DAY
        days = range(SINCE // DAY, today + 1)
        answer: dict[str, Any] = {
            "totalDataChart": [],
            "totalDataChartBreakdown": [],
            "breakdown24h": None,
            "breakdown30d": None,
            "chain": None,
            "allChains": [chain for _, _, chain in PROTOCOLS],
            "total24h": sum(open_interest(slug, today) for _, slug, _ in PROTOCOLS),
            "protocols": [
                {
                    "total24h": open_interest(slug, today),
                    "defillamaId": str(5000 + number),
                    "name": name,
                    "displayName": name,
                    "module": slug,
                    "category": "Derivatives",
                    "chains": [chain],
                    "protocolType": "protocol",
                    "slug": slug,
                    "id": str(5000 + number),
                }
                for number, (name, slug, chain) in enumerate(PROTOCOLS)
            ],
        }
        if request.query.get("excludeTotalDataChart", "false") != "true":
            answer["totalDataChart"] = [
                [day * DAY // 1000, sum(open_interest(slug, day) for _, slug, _ in PROTOCOLS)] for day in days
            ]
        if request.query.get("excludeTotalDataChartBreakdown", "false") != "true":
            answer["totalDataChartBreakdown"] = [
                [day * DAY // 1000, {name: open_interest(slug, day) for name, slug, _ in PROTOCOLS}] for day in days
            ]
        return json_reply(answer)


def open_interest(slug: str, day: int) -> int:
    """USD of a protocol on a day since 1970."""
    return 1_000_000_000 + draw(seed_of(slug), day) % 500_000_000

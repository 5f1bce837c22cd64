"""``python -m venue_server``: the server for people and benchmarks."""

import argparse
import sys
import time
from pathlib import Path

from venue_server.server import Server
from venue_server.text import iso
from venue_server.world import DEFAULT_NOW, World


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="venue_server", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="where to listen on 127.0.0.1 (default 8765; 0: any)")
    parser.add_argument("--fixtures", type=Path, help="folder of recorded answers to serve first")
    parser.add_argument("--symbols", type=int, default=3, help="linear contracts per venue, 1 to 200 (default 3)")
    parser.add_argument("--now", default=iso(DEFAULT_NOW), help="time of the market's clock, ISO (UTC), or 'real'")
    parser.add_argument(
        "--warm", metavar="HOURS", type=int, default=0, help="make hourly bars of so many hours beforehand"
    )
    chosen = parser.parse_args()
    now = round(time.time() * 1000) if chosen.now == "real" else chosen.now
    with Server(World(chosen.symbols, now), chosen.fixtures, chosen.port) as server:
        if chosen.warm:
            server.warm(chosen.warm)
        for name, value in server.environment().items():
            print(f"export {name}={value}", flush=True)
        # Standard output is for the shell; this is for who reads along.
        for line in server.fixtures.lines():
            print(line, file=sys.stderr, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

"""A local stand-in for every venue: a made-up market that answers in the venues' own formats, with their paging and their faults.

Written from the venues' documentation, independently of the connectors that it is used to test.
"""

from venue_server.server import Server
from venue_server.world import World

__all__ = ["Server", "World"]

"""Recording: liquidation messages that venues only push, kept as they were received, and the intervals in which nobody listened.

What belongs here: connections to streams, the spool that survives a kill, segments for landing, the table ``collector_gap``.
What does not: polling (``fetch``), what a message means in raw beyond the SQL of ``messages`` (``sources``), units (dbt).
"""

from dagster_project.recorder.options import Options
from dagster_project.recorder.service import FEEDS, record
from dagster_project.recorder.status import FeedStatus, observe

__all__ = ["FEEDS", "FeedStatus", "Options", "observe", "record"]

"""What the sample's spans say is what its files span."""

import pytest

from built_homes import Built
from dagster_project.lib.landing import Landing
from dagster_project.sources.demo.landing import SAMPLED
from dagster_project.sources.demo.spans import AROUND_EVENT, YEAR_LONG

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]


def test_only_what_spans_the_year_has_files_outside_the_event_s_days(demo: Built) -> None:
    landing = Landing(demo.home.landing)
    outside = {
        (feed, entity)
        for feed, entity in SAMPLED
        for entry in landing.files(feed, entity)
        if entry.period_start < AROUND_EVENT[0] or entry.period_end > AROUND_EVENT[1]
    }
    assert outside == YEAR_LONG

"""What the sample's spans say is what its files span."""

from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.sources.demo.landing import SAMPLED, land_sample
from dagster_project.sources.demo.spans import AROUND_EVENT, YEAR_LONG


def test_only_what_spans_the_year_has_files_outside_the_event_s_days(home: Home) -> None:
    home.claim("demo")
    land_sample(home)
    landing = Landing(home.landing)
    outside = {
        (feed, entity)
        for feed, entity in SAMPLED
        for entry in landing.files(feed, entity)
        if entry.period_start < AROUND_EVENT[0] or entry.period_end > AROUND_EVENT[1]
    }
    assert outside == YEAR_LONG

{{ config(**by_day('partition_date', {'raw.long_short_ratios': [0, 0]}, terms='stg_reference__instruments')) }}
-- Dated by the end of the period, as open interest is: Binance serves both in one file, with one label.
with ratios as (
    select *, {{ is_last_of_old_archive() }} as is_last_of_old_archive
    from {{ raw_rows('long_short_ratios') }}
    {{ keep_latest(
        [
            'venue_symbol', 'observed_at', 'population', 'period_seconds', 'venue', 'feed', is_last_of_old_archive(),
        ],
        ['long_short_ratio', 'long_share'],
    ) }}
),

labelled as (
    select
        ratios.*,
        coalesce(label.value, 'end') as period_label
    from ratios
    {{ join_feed(
        'ratios', labelled_at('ratios'), 'long_short_ratios', 'period_label', 'label', speaker='feed', by_product=true
    ) }}
)

select
    labelled.feed,
    labelled.product,
    labelled.venue,
    labelled.venue_symbol,
    instrument.base_asset,
    labelled.population,
    {{ observed_moment('labelled', 'labelled.period_label') }} as event_at,
    labelled.period_seconds,
    labelled.period_label,
    labelled.long_short_ratio,
    coalesce(labelled.long_share, labelled.long_short_ratio / (1 + labelled.long_short_ratio)) as long_share,
    labelled.completeness,
    labelled.source_class,
    labelled.source,
    labelled.ingested_at,
    labelled.date as partition_date
from labelled
{{ join_instrument('labelled', 'labelled.observed_at') }}

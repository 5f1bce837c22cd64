{{ config(**by_day('partition_date', {'raw.open_interest': [0, 0]}, terms='stg_reference__instruments')) }}
-- One side: a feed that adds both sides up is halved, and its own one-sided value is taken as it is. The time is that
-- of the observation: the end of the period, whichever end the label marks. Where only base assets or only USD are
-- counted, the other is joined by price in int_open_interest__observed.
{%- set fields = ['open_interest', 'open_interest_base', 'open_interest_value', 'single_open_interest'] %}
with units as ({{ units_of('open_interest', fields) }}),

observations as (
    select
        *,
        {{ is_last_of_old_archive() }} as is_last_of_old_archive,
        -- An aggregator states one side of whatever the venue counts.
        case when product <> 'aggregate' then venue end as counting_venue
    from {{ raw_rows('open_interest') }}
    {{ keep_latest(
        ['venue_symbol', 'observed_at', 'period_seconds', 'venue', 'feed', is_last_of_old_archive()],
        ['open_interest', 'open_interest_base', 'open_interest_value', 'single_open_interest'],
    ) }}
),

sided as (
    select
        observations.*,
        coalesce(label.value, 'end') as period_label,
        coalesce(feed.value, 'one') as counted_sides,
        case feed.value when 'both' then 2 else 1 end as sides
    from observations
    {{ join_feed(
        'observations', labelled_at('observations'), 'open_interest', 'period_label', 'label', speaker='feed',
        by_product=true
    ) }}
    {{ join_feed(
        'observations', 'observations.observed_at', 'open_interest', 'sidedness', 'feed', speaker='counting_venue'
    ) }}
),

labelled as (
    select
        * replace (
            open_interest / sides as open_interest,
            open_interest_base / sides as open_interest_base,
            open_interest_value / sides as open_interest_value,
            case when single_open_interest is null then counted_sides else 'one' end as counted_sides
        )
    from sided
)

select
    labelled.feed,
    labelled.product,
    labelled.venue,
    labelled.venue_symbol,
    coalesce(instrument.base_asset, asset.base_asset) as base_asset,
    instrument.contract_type,
    {{ observed_moment('labelled', 'labelled.period_label') }} as event_at,
    labelled.period_seconds,
    labelled.period_label,
    {{ in_contracts('labelled', ['single_open_interest', 'open_interest', 'open_interest_base']) }} as contracts,
    {{ in_base(
        'labelled', ['single_open_interest', 'open_interest_base', 'open_interest', 'open_interest_value']
    ) }} as base_quantity,
    {{ in_usd('labelled', ['single_open_interest', 'open_interest_value', 'open_interest']) }} as notional_usd,
    labelled.counted_sides as oi_sidedness,
    labelled.completeness,
    labelled.source_class,
    labelled.source,
    labelled.ingested_at,
    labelled.date as partition_date
from labelled
{{ join_instrument('labelled', 'labelled.observed_at') }}
{{ join_asset('labelled') }}
{{ join_units('labelled', 'labelled.observed_at') }}

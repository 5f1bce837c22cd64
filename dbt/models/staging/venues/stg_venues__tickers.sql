{{ config(**by_day('partition_date', {'raw.tickers': [0, 0]}, terms='stg_reference__instruments')) }}
-- Rolling 24 hours, and the open interest of the moment, one side. USD volume is the venue's own or that of inverse
-- contracts; it is not derived, since no mean price of the 24 hours is known. Open interest in base assets or USD is
-- completed by the mark price of the same answer.
{%- set fields = ['volume', 'base_volume', 'turnover', 'open_interest', 'single_open_interest'] %}
with units as ({{ units_of('tickers', fields) }}),

answers as (
    select
        *,
        -- An aggregator states one side of whatever the venue counts.
        case when product <> 'aggregate' then venue end as counting_venue
    from {{ raw_rows('tickers') }}
    {{ keep_latest(['venue_symbol', 'event_at', 'venue', 'feed'], ['last_price', 'volume', 'open_interest']) }}
),

sided as (
    select
        answers.* replace (
            answers.open_interest / case feed.value when 'both' then 2 else 1 end as open_interest
        ),
        case when answers.single_open_interest is null then coalesce(feed.value, 'one') else 'one' end as oi_sidedness
    from answers
    {{ join_feed('answers', 'answers.event_at', 'open_interest', 'sidedness', 'feed', speaker='counting_venue') }}
),

measured as (
    select
        sided.*,
        instrument.base_asset,
        instrument.contract_type,
        instrument.is_usd_quoted,
        instrument.multiplier,
        {{ in_contracts('sided', ['volume', 'base_volume', 'turnover']) }} as volume_contracts,
        {{ in_base('sided', ['volume', 'base_volume', 'turnover']) }} as volume_base,
        {{ in_usd('sided', ['volume', 'base_volume', 'turnover']) }} as volume_usd,
        {{ in_contracts('sided', ['single_open_interest', 'open_interest']) }} as open_interest_contracts,
        {{ in_base('sided', ['single_open_interest', 'open_interest']) }} as counted_base,
        {{ in_usd('sided', ['single_open_interest', 'open_interest']) }} as counted_usd
    from sided
    {{ join_instrument('sided', 'sided.event_at') }}
    {{ join_units('sided', 'sided.event_at') }}
)

select
    feed,
    product,
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    event_at,
    last_price / multiplier as last_price,
    mark_price / multiplier as mark_price,
    index_price / multiplier as index_price,
    volume_contracts,
    volume_base,
    volume_usd,
    open_interest_contracts,
    coalesce(counted_base, counted_usd / (mark_price / multiplier)) as open_interest_base,
    coalesce(counted_usd, case when is_usd_quoted then counted_base * mark_price / multiplier end) as open_interest_usd,
    case
        when counted_usd is not null then 'reported'
        when is_usd_quoted and counted_base * mark_price is not null then 'mark_price'
    end as open_interest_basis,
    oi_sidedness,
    funding_rate,
    completeness,
    source_class,
    source,
    ingested_at,
    date as partition_date
from measured

{{ config(**by_day(utc_date('bar_start_at'), {'stg_venues__klines': [1, 1], 'stg_files__klines': [0, 0]})) }}
-- What the venues' own candles leave open: another feed's where the venue is silent, a file's where both are, for the
-- same contract, interval and start. Only contracts of several speakers are compared, since most have one.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, interval_seconds, bar_start_at, open_price, high_price, low_price,
    close_price, base_quantity, notional_usd, volume_basis, completeness, source_class
{%- endset %}
{%- set key = 'venue, venue_symbol, interval_seconds, bar_start_at' %}
{%- set same_bar -%}
    on further.venue = nearer.venue
    and further.venue_symbol = nearer.venue_symbol
    and further.interval_seconds = nearer.interval_seconds
    and further.bar_start_at = nearer.bar_start_at
{%- endset %}
with other_bars as (
    select {{ columns }} from {{ ref('stg_venues__klines') }}
    where feed <> venue and is_usd_quoted is distinct from false and {{ times_made('bar_start_at') }}
),

file_bars as (
    select {{ columns }} from {{ ref('stg_files__klines') }}
    where price_kind = 'last' and {{ times_made('bar_start_at') }}
),

further_contracts as (
    select venue, venue_symbol from other_bars
    union distinct
    select venue, venue_symbol from file_bars
),

own_keys as (
    select own.venue, own.venue_symbol, own.interval_seconds, own.bar_start_at
    from {{ ref('stg_venues__klines') }} as own
    inner join further_contracts as contracts
        on own.venue = contracts.venue and own.venue_symbol = contracts.venue_symbol
    where
        own.feed = own.venue
        and own.is_usd_quoted is distinct from false
        and {{ times_made('own.bar_start_at') }}
),

unspoken_others as (
    select further.*
    from other_bars as further
    left join own_keys as nearer
        {{ same_bar }}
    where nearer.venue is null
),

spoken_keys as (
    select {{ key }} from own_keys
    union all
    select {{ key }} from unspoken_others
)

select * from unspoken_others
union all
select further.*
from file_bars as further
left join spoken_keys as nearer
    {{ same_bar }}
where nearer.venue is null

{#-
  USD and base assets of one row agree: USD / base lies within [lower x low, upper x high]. The range of prices is the
  row's own where `low` and `high` name columns: then every row has to fit.
  Else it is the market's: that of the last or mark bar of at most an hour in which `event_at` lies or, where none is
  known, the close of the bar that ended in the five minutes before. An older price proves nothing, since a market may
  move further than the bound; and in a cascade the last price leaves the mark price, at which venues value, for minutes.
  So a contract's day fails when most of its rows do, which a wrong unit always makes it. At most 100 are listed.
-#}
{% test usd_agrees_with_base(
    model, lower, upper, base='base_quantity', usd='notional_usd', low=none, high=none, minimum_usd=0
) %}
{%- if low is not none %}
select *, {{ usd }} / {{ base }} as usd_per_base
from {{ model }}
where {{ base }} > 0
    and {{ usd }} >= {{ minimum_usd }}
    and ({{ usd }} < {{ base }} * {{ low }} * {{ lower }} or {{ usd }} > {{ base }} * {{ high }} * {{ upper }})
limit 100
{%- else %}
with claims as (
    select venue, venue_symbol, feed, event_at, {{ base }} as base_quantity, {{ usd }} as notional_usd
    from {{ model }}
    where {{ base }} > 0 and {{ usd }} > {{ minimum_usd }}
),

-- Hours in which a bar may begin that holds the moment, or ended in the five minutes before it.
priced_hours as (
    {%- for minutes in [0, 60, 65] %}
    select venue, venue_symbol, (epoch_us(event_at) // 60000000 - {{ minutes }}) // 60 as bar_hour from claims
    {% if not loop.last %}union{% endif %}
    {%- endfor %}
),

prices as (
    select venue, venue_symbol, bar_start_at, interval_seconds, low_price, high_price, close_price
    from {{ ref('stg_venues__klines') }}
    where interval_seconds <= 3600
    union all
    select venue, venue_symbol, bar_start_at, interval_seconds, low_price, high_price, close_price
    from {{ ref('stg_venues__reference_klines') }}
    where price_kind = 'mark' and interval_seconds <= 3600
),

near_prices as (
    select
        prices.venue,
        prices.venue_symbol,
        prices.bar_start_at,
        prices.interval_seconds,
        min(prices.low_price) as low_price,
        max(prices.high_price) as high_price,
        min(prices.close_price) as low_close,
        max(prices.close_price) as high_close
    from prices
    inner join priced_hours
        on prices.venue = priced_hours.venue
        and prices.venue_symbol = priced_hours.venue_symbol
        and epoch_us(prices.bar_start_at) // 3600000000 = priced_hours.bar_hour
    group by prices.venue, prices.venue_symbol, prices.bar_start_at, prices.interval_seconds
),

-- The latest start names the bar; of bars that start together the finest.
bars as (
    select *
    from near_prices
    qualify row_number() over (partition by venue, venue_symbol, bar_start_at order by interval_seconds) = 1
),

priced as (
    select
        claims.*,
        bars.bar_start_at,
        case
            when bars.bar_start_at + to_seconds(bars.interval_seconds) >= claims.event_at then bars.low_price
            when bars.bar_start_at + to_seconds(bars.interval_seconds + 300) >= claims.event_at then bars.low_close
        end as low_price,
        case
            when bars.bar_start_at + to_seconds(bars.interval_seconds) >= claims.event_at then bars.high_price
            when bars.bar_start_at + to_seconds(bars.interval_seconds + 300) >= claims.event_at then bars.high_close
        end as high_price
    from claims
    asof left join bars
        on claims.venue = bars.venue
        and claims.venue_symbol = bars.venue_symbol
        and claims.event_at >= bars.bar_start_at
)

select
    feed,
    venue,
    venue_symbol,
    cast(event_at as date) as event_date,
    count(*) as row_count,
    median(notional_usd / base_quantity) as usd_per_base,
    median(low_price) as low_price,
    median(high_price) as high_price
from priced
where low_price is not null
group by feed, venue, venue_symbol, cast(event_at as date)
having 2 * count(case
    when notional_usd < base_quantity * low_price * {{ lower }} then 1
    when notional_usd > base_quantity * high_price * {{ upper }} then 1
end) > count(*)
limit 100
{%- endif %}
{% endtest %}

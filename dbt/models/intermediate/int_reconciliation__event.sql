{{ config(meta={'rests_on_days_around_events': true}) }}
-- Candidates for the figures of 10 October 2025 that need single observations: open interest around the event, funds,
-- deleveraged accounts, the pace of liquidations and the times of extremes. One row per figure and source class.
with event as (
    select * from {{ ref('stg_reference__events') }}
    where event_id = '2025_10_10'
),

listed as (
    select venue, count(distinct venue_symbol) as contracts_listed
    from {{ ref('stg_reference__instruments') }}
    where is_own_name
    group by venue
),

-- Open interest: the last observation of each contract before the event, and of each hour after it.
observed as (
    select
        observations.*,
        event.pre_event_at,
        case when observations.event_at > event.shock_at then {{ floor_to_seconds('observations.event_at', 3600) }} end
            as hour_at
    from {{ ref('int_open_interest__observed') }} as observations
    inner join event
        on observations.event_at > {{ add_seconds('event.pre_event_at', -86400) }}
        and observations.event_at < event.window_end_at
    where observations.venue <> 'market' and observations.notional_usd is not null
),

contract_levels as (
    select *
    from (
        select
            *,
            row_number() over (
                partition by source_class, venue, venue_symbol, hour_at order by event_at desc
            ) as preference
        from observed
        where hour_at is not null or event_at <= pre_event_at
    ) as ranked
    where preference = 1
),

scoped_levels as (
    select 'event' as scope, * from contract_levels
    union all
    select 'hyperliquid' as scope, * from contract_levels
    where venue = 'hyperliquid'
),

level_sums as (
    select
        scope,
        source_class,
        hour_at,
        {{ usd_sum('notional_usd') }} as open_interest_usd,
        count(*) as contracts,
        count(distinct venue) as venues,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from scoped_levels
    group by scope, source_class, hour_at
),

-- Only hours with as many contracts as any can be compared; among them the lowest counts as the level after the event.
level_ranks as (
    select
        *,
        row_number() over (
            partition by scope, source_class order by contracts desc, open_interest_usd, hour_at
        ) as preference
    from level_sums
    where hour_at is not null
),

level_pairs as (
    select
        after_event.scope,
        after_event.source_class,
        after_event.hour_at,
        before_event.open_interest_usd as before_usd,
        after_event.open_interest_usd as after_usd,
        before_event.contracts as contracts_before,
        after_event.contracts as contracts_after,
        after_event.venues,
        after_event.scope = 'event'
        or after_event.contracts < before_event.contracts
        or coalesce(after_event.contracts < listed.contracts_listed, true) as is_partial,
        {{ weakest_completeness(['before_event.completeness', 'after_event.completeness']) }} as completeness
    from level_ranks as after_event
    inner join level_sums as before_event
        on after_event.scope = before_event.scope
        and after_event.source_class = before_event.source_class
        and before_event.hour_at is null
    left join listed on after_event.scope = listed.venue
    where after_event.preference = 1
),

open_interest as (
    {% for figure, scope, formula in [
        ('open_interest_before_event', 'event', 'before_usd'),
        ('open_interest_after_event', 'event', 'after_usd'),
        ('open_interest_before_hyperliquid', 'hyperliquid', 'before_usd'),
        ('open_interest_after_hyperliquid', 'hyperliquid', 'after_usd'),
        ('open_interest_change_hyperliquid', 'hyperliquid', 'after_usd / nullif(before_usd, 0) - 1'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        {% if 'before' in figure %}date '2025-10-10'{% else %}cast(hour_at as date){% endif %} as computed_date,
        is_partial,
        cast(contracts_before as varchar) || ' contracts before 20:50 and ' || cast(contracts_after as varchar)
        || ' in the lowest hour after it, of ' || cast(venues as varchar) || ' venues' as note,
        completeness,
        source_class
    from level_pairs
    where scope = '{{ scope }}'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- Fund: every pool of the venue, last balance at or before 20:50 and last of the window.
fund_balances as (
    select
        funds.*,
        funds.event_at > event.pre_event_at as is_after,
        row_number() over (
            partition by funds.source_class, funds.product, funds.pool, funds.asset, funds.event_at > event.pre_event_at
            order by funds.event_at desc
        ) as preference
    from {{ ref('stg_venues__insurance_funds') }} as funds
    inner join event
        on funds.event_at > {{ add_seconds('event.pre_event_at', -86400) }}
        and funds.event_at <= event.window_end_at
    where funds.venue = 'binance' and funds.feed = 'binance'
),

funds as (
    select
        source_class,
        {{ usd_sum('case when not is_after then balance_usd end') }} as before_usd,
        {{ usd_sum('case when is_after then balance_usd end') }} as after_usd,
        count(case when is_after then 1 end) as balances_after,
        count(case when not is_after then 1 end) <> count(case when is_after then 1 end)
        or count(balance_usd) < count(*) as is_partial,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from fund_balances
    where preference = 1
    group by source_class
),

fund_figures as (
    {% for figure, formula in [
        ('binance_fund_before', 'before_usd'),
        ('binance_fund_after', 'after_usd'),
        ('binance_fund_change', 'after_usd - before_usd'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        date '2025-10-10' as computed_date,
        is_partial,
        'sum over ' || cast(balances_after as varchar) || ' balances (pool and asset)' as note,
        completeness,
        source_class
    from funds
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- Deleveraged accounts of the twelve minutes, from fills that name them.
adl_fills as (
    select
        *,
        {{ flag_rank('completeness', completeness_levels()) }} as completeness_rank
    from {{ ref('stg_venues__adl_fills') }}
    where venue = 'hyperliquid'
        and event_at >= timestamptz '2025-10-10 21:15:00+00'
        and event_at < timestamptz '2025-10-10 21:27:00+00'
),

adl_accounts as (
    select
        source_class,
        account,
        {{ usd_sum('adl_usd') }} as adl_usd,
        row_number() over (partition by source_class order by {{ usd_sum('adl_usd') }} desc nulls last, account)
            as place
    from adl_fills
    group by source_class, account
),

adl_totals as (
    select
        source_class,
        count(*) as fills,
        count(distinct account) as accounts,
        {{ usd_sum('adl_usd') }} as adl_usd,
        count(account) < count(*) or count(adl_usd) < count(*) as has_unknown,
        max(completeness_rank) > 1 as is_incomplete,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from adl_fills
    group by source_class
),

adl_figures as (
    {% for figure, formula in [
        ('hyperliquid_adl_fills', 'cast(fills as double)'),
        ('hyperliquid_adl_accounts', 'cast(case when not has_unknown then accounts end as double)'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        date '2025-10-10' as computed_date,
        is_incomplete as is_partial,
        cast(fills as varchar) || ' ADL fills of ' || cast(accounts as varchar) || ' accounts' as note,
        completeness,
        source_class
    from adl_totals
    union all
    {% endfor %}
    {% for accounts in [1, 10, 100] %}
    select
        'hyperliquid_adl_top_{{ accounts }}_share' as figure_id,
        case
            when max(cast(totals.has_unknown as integer)) = 0
                then {{ usd_sum('ranked.adl_usd') }} / nullif(max(totals.adl_usd), 0)
        end as computed_value,
        date '2025-10-10' as computed_date,
        max(cast(totals.is_incomplete as integer)) = 1 as is_partial,
        cast(max(totals.fills) as varchar) || ' ADL fills of ' || cast(max(totals.accounts) as varchar)
        || ' accounts' as note,
        max(totals.completeness) as completeness,
        ranked.source_class
    from adl_accounts as ranked
    inner join adl_totals as totals on ranked.source_class = totals.source_class
    where ranked.place <= {{ accounts }}
    group by ranked.source_class
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- Pace: events, or sums over no more than a minute, of the venues' own feeds.
minutes as (
    select
        venue,
        base_asset,
        {{ floor_to_seconds('event_at', 60) }} as minute_at,
        period_seconds,
        notional_usd,
        completeness,
        source_class
    from {{ ref('int_liquidations__unioned') }}
    where venue <> 'market'
        and period_seconds <= 60
        and event_at >= timestamptz '2025-10-10 00:00:00+00'
        and event_at < timestamptz '2025-10-11 00:00:00+00'
),

minute_sums as (
    select
        source_class,
        minute_at,
        {{ usd_sum('notional_usd') }} as liquidated_usd,
        row_number() over (partition by source_class order by {{ usd_sum('notional_usd') }} desc nulls last, minute_at)
            as place
    from minutes
    group by source_class, minute_at
),

minute_feeds as (
    select
        source_class,
        'partial sum over the minutes of ' || cast(count(distinct venue) as varchar) || ' venues' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from minutes
    group by source_class
),

pace as (
    {% for figure, earliest, latest in [
        ('pace_2050_2130', '20:50', '21:30'),
        ('pace_minute_2115', '21:15', '21:16'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ usd_sum('sums.liquidated_usd') }} as computed_value,
        date '2025-10-10' as computed_date,
        true as is_partial,
        max(feeds.note) as note,
        max(feeds.completeness) as completeness,
        sums.source_class
    from minute_sums as sums
    inner join minute_feeds as feeds on sums.source_class = feeds.source_class
    where sums.minute_at >= timestamptz '2025-10-10 {{ earliest }}:00+00'
        and sums.minute_at < timestamptz '2025-10-10 {{ latest }}:00+00'
    group by sums.source_class
    union all
    {% endfor %}
    select
        'timeline_peak_minute' as figure_id,
        {{ second_of_day('sums.minute_at') }} as computed_value,
        date '2025-10-10' as computed_date,
        true as is_partial,
        feeds.note,
        feeds.completeness,
        sums.source_class
    from minute_sums as sums
    inner join minute_feeds as feeds on sums.source_class = feeds.source_class
    where sums.place = 1 and sums.liquidated_usd > 0
),

largest as (
    select
        'largest_liquidation' as figure_id,
        max(notional_usd) as computed_value,
        date '2025-10-10' as computed_date,
        true as is_partial,
        'largest single fill of ETH on Hyperliquid, a floor: the published figure is an order, which has one fill or'
        || ' more, and fills carry no order' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from minutes
    where venue = 'hyperliquid' and base_asset = 'ETH' and period_seconds = 0
    group by source_class
),

-- Prices: the reference venue is the one with the largest volume in the window.
references_btc as (
    select
        moves.*,
        row_number() over (
            partition by moves.source_class order by moves.volume_usd desc nulls last, moves.venue, moves.venue_symbol
        ) as preference
    from {{ ref('int_event_moves__by_contract') }} as moves
    inner join event on moves.event_id = event.event_id
    where moves.base_asset = 'BTC' and moves.completeness = 'complete' and moves.covered_seconds >= 172800
),

btc_before as (
    select
        'btc_before_event' as figure_id,
        max(bars.high_price) as computed_value,
        date '2025-10-10' as computed_date,
        false as is_partial,
        'high before 20:50 on ' || chosen.venue || ', the venue with the largest volume' as note,
        {{ weakest_completeness_agg('bars.completeness') }} as completeness,
        chosen.source_class
    from references_btc as chosen
    inner join event on chosen.event_id = event.event_id
    inner join {{ ref('int_bars__unioned') }} as bars
        on chosen.venue = bars.venue
        and chosen.venue_symbol = bars.venue_symbol
        and chosen.interval_seconds = bars.interval_seconds
        and chosen.source_class = bars.source_class
        and event.window_start_at <= bars.bar_start_at
        and event.pre_event_at >= bars.bar_end_at
    where chosen.preference = 1
    group by chosen.venue, chosen.source_class
),

-- When the tail (as of the day before) was lowest: the first minute of each contract's low, as a median over contracts.
tail_bars as (
    select
        bars.venue,
        bars.venue_symbol,
        bars.base_asset,
        bars.source_class,
        bars.completeness,
        event.shock_at,
        {{ seconds_between('event.shock_at', 'bars.bar_start_at') }} as low_seconds,
        row_number() over (
            partition by bars.venue, bars.venue_symbol, bars.source_class
            order by bars.low_price, bars.bar_start_at, bars.interval_seconds
        ) as preference
    from {{ ref('int_bars__unioned') }} as bars
    inner join event
        on bars.bar_start_at >= event.shock_at
        and bars.bar_end_at <= event.window_end_at
    left join {{ ref('int_event_tiers__by_asset') }} as tiers
        on event.event_id = tiers.event_id
        and bars.base_asset = tiers.base_asset
    left join {{ ref('asset_tiers') }} as listed_tiers on bars.base_asset = listed_tiers.base_asset
    where bars.interval_seconds <= 60
        and bars.low_price is not null
        and coalesce(tiers.tier, listed_tiers.tier, 'tail') = 'tail'
),

tail_lows as (
    select
        'timeline_altcoin_lows' as figure_id,
        max({{ second_of_day('shock_at') }}) + {{ exact_median('low_seconds') }} as computed_value,
        date '2025-10-10' as computed_date,
        count(distinct base_asset) < 50 as is_partial,
        'median over ' || cast(count(*) as varchar) || ' contracts on ' || cast(count(distinct base_asset) as varchar)
        || ' tail assets' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from tail_bars
    where preference = 1
    group by source_class
)

{% for candidates in [
    'open_interest', 'fund_figures', 'adl_figures', 'pace', 'largest', 'btc_before', 'tail_lows',
] %}
select figure_id, computed_value, computed_date, is_partial, note, completeness, source_class from {{ candidates }}
where computed_value is not null
{% if not loop.last %}union all{% endif %}
{% endfor %}

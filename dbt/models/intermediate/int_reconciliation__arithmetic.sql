-- Published values against each other: what follows from them by arithmetic alone.
{%- set ratios = [
    ('binance_share_2025', 'binance_volume_2025 / volume_2025'),
    ('okx_share_2025', 'okx_volume_2025 / volume_2025'),
    ('bybit_share_2025', 'bybit_volume_2025 / volume_2025'),
    ('bitget_share_2025', 'bitget_volume_2025 / volume_2025'),
    ('top_four_volume_2025', 'binance_volume_2025 + okx_volume_2025 + bybit_volume_2025 + bitget_volume_2025'),
    ('top_four_share_2025', 'top_four_volume_2025 / volume_2025'),
    ('average_daily_liquidations_2025', 'liquidations_2025 / 365'),
    ('liquidated_24h', 'liquidated_24h_long + liquidated_24h_short'),
    ('long_share_24h', 'liquidated_24h_long / (liquidated_24h_long + liquidated_24h_short)'),
    ('liquidated_24h_binance', 'liquidated_24h_binance_long + liquidated_24h_binance_short'),
    ('btc_fall_composite', 'btc_low / btc_before_event - 1'),
    ('open_interest_change_event', 'open_interest_after_event / open_interest_before_event - 1'),
    ('open_interest_change_hyperliquid', 'open_interest_after_hyperliquid / open_interest_before_hyperliquid - 1'),
    ('open_interest_wiped', 'open_interest_before_event - open_interest_after_event'),
    ('altcoin_depth_change', 'altcoin_depth_trough / altcoin_depth_before - 1'),
    ('binance_fund_change', 'binance_fund_after - binance_fund_before'),
    ('hyperliquid_total_impact', 'hyperliquid_liquidated + hyperliquid_adl'),
    ('trackers_difference_2025', 'volume_2025 / cryptoquant_perpetual_volume_2025 - 1'),
] %}
{%- set figures = [
    'volume_2025', 'binance_volume_2025', 'okx_volume_2025', 'bybit_volume_2025', 'bitget_volume_2025',
    'top_four_volume_2025', 'average_daily_volume_2025', 'binance_average_daily_volume_2025', 'liquidations_2025',
    'liquidated_24h_long', 'liquidated_24h_short', 'liquidated_24h_binance_long', 'liquidated_24h_binance_short',
    'open_interest_before_event', 'open_interest_after_event', 'open_interest_before_hyperliquid',
    'open_interest_after_hyperliquid', 'altcoin_depth_before', 'altcoin_depth_trough', 'binance_fund_before',
    'binance_fund_after', 'cryptoquant_perpetual_volume_2025', 'liquidations_2025_headline', 'btc_before_event', 'btc_low',
    'hyperliquid_liquidated', 'hyperliquid_adl',
] %}
{%- set pivots = [] %}
{%- for figure in figures -%}
{%- do pivots.append("max(case when figure_id = '" ~ figure ~ "' then published_value end) as " ~ figure) -%}
{%- endfor %}
with published as (
    select
        {{ pivots | join(',\n        ') }}
    from {{ ref('stg_reference__published_figures') }}
),

-- 85.70 T / 365 is not 264.5 B. The divisor behind it, 324 days, is the one behind Binance's own average too.
divisors as (
    select
        *,
        volume_2025 / average_daily_volume_2025 as market_divisor,
        binance_volume_2025 / binance_average_daily_volume_2025 as binance_divisor,
        abs(
            (volume_2025 / average_daily_volume_2025) / (binance_volume_2025 / binance_average_daily_volume_2025) - 1
        ) < 0.005 as is_divisor_shared
    from published
),

candidates as (
    {% for figure, formula in ratios %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        cast(null as varchar) as explanation,
        'computed from published values alone: {{ formula }}' as note
    from published
    union all
    {% endfor %}
    select
        'average_daily_volume_2025' as figure_id,
        volume_2025 / 365 as computed_value,
        case
            when is_divisor_shared
                then 'divided by ' || cast(round(market_divisor, 1) as varchar)
                    || ' days and not by 365; the average of Binance gives the same divisor, '
                    || cast(round(binance_divisor, 1) as varchar)
        end as explanation,
        'computed from published values alone: volume_2025 / 365' as note
    from divisors
    union all
    select
        'binance_average_daily_volume_2025' as figure_id,
        binance_volume_2025 / 365 as computed_value,
        case
            when is_divisor_shared
                then 'divided by ' || cast(round(binance_divisor, 1) as varchar)
                    || ' days and not by 365; the average of all venues gives the same divisor, '
                    || cast(round(market_divisor, 1) as varchar)
        end as explanation,
        'computed from published values alone: binance_volume_2025 / 365' as note
    from divisors
    union all
    select
        'cryptoquant_perpetual_volume_2025' as figure_id,
        volume_2025 as computed_value,
        'trackers differ in coverage and definition: perpetuals only against all derivatives' as explanation,
        'compared with the CoinGlass total, computed from published values alone' as note
    from published
    union all
    -- "About 150 B" is a number of two digits.
    select
        'liquidations_2025_headline' as figure_id,
        liquidations_2025 as computed_value,
        case
            when round(liquidations_2025_headline / 10000000000) * 10000000000 = liquidations_2025
                then 'the article rounds it to tens of billions: about 150 B'
        end as explanation,
        'compared with the rounded figure, computed from published values alone' as note
    from published
    union all
    select
        'btc_high_2025_date' as figure_id,
        cast(extract(doy from published_date) as double) as computed_value,
        cast(null as varchar) as explanation,
        'composite prices of the press put the high on 6 October 2025' as note
    from {{ ref('stg_reference__published_figures') }}
    where figure_id = 'btc_high_2025'
    union all
    select
        'btc_high_2025' as figure_id,
        published_high as computed_value,
        cast(null as varchar) as explanation,
        'the highest composite price that the press gave' as note
    from {{ ref('stg_reference__published_figures') }}
    where figure_id = 'btc_high_2025'
)

select
    figure_id,
    computed_value,
    case when figure_id in ('btc_high_2025', 'btc_high_2025_date') then date '2025-10-06' end as computed_date,
    explanation,
    note
from candidates
where computed_value is not null

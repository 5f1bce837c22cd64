{#- Seconds of the venues' interval names: Binance 1m..1w, Bybit klines 1..720, D, W, Bybit open interest 5min..1d. -#}
{% macro interval_seconds(interval) -%}
    case {{ interval }}
        {%- set names = {
            '1m': 60, '3m': 180, '5m': 300, '15m': 900, '30m': 1800,
            '1h': 3600, '2h': 7200, '4h': 14400, '6h': 21600, '8h': 28800, '12h': 43200,
            '1d': 86400, '3d': 259200, '1w': 604800,
            '1': 60, '3': 180, '5': 300, '15': 900, '30': 1800,
            '60': 3600, '120': 7200, '240': 14400, '360': 21600, '720': 43200, 'D': 86400, 'W': 604800,
            '5min': 300, '15min': 900, '30min': 1800,
        } -%}
        {%- for name, seconds in names.items() %}
        when '{{ name }}' then {{ seconds }}
        {%- endfor %}
    end
{%- endmacro %}

{#-
  One row per natural key: overlapping pages and republished files repeat rows, and the latest received wins. The
  tie-breakers make the choice the same in every run. Ends a query: `select ... from ... keep_latest(...)`.
-#}
{% macro keep_latest(key, tie_breakers=[]) -%}
    qualify row_number() over (
        partition by {{ key | join(', ') }}
        order by {{ (['ingested_at desc', 'landing_path desc'] + tie_breakers) | join(', ') }}
    ) = 1
{%- endmacro %}

{#- The contract's terms at the time of the row; a left join: an unknown symbol fails a test and never vanishes. -#}
{% macro join_instrument(rows, at) -%}
    left join {{ ref('stg_reference__instruments') }} as instrument
        on {{ rows }}.venue = instrument.venue
        and {{ rows }}.venue_symbol = instrument.venue_symbol
        and {{ at }} >= instrument.valid_from_at
        and {{ at }} < instrument.valid_to_at
{%- endmacro %}

{#- What the venue's feed is known to deliver at that time: dated, because feeds change. -#}
{% macro join_feed(rows, at, dataset, attribute, alias) -%}
    left join {{ ref('stg_reference__venue_feeds') }} as {{ alias }}
        on {{ rows }}.venue = {{ alias }}.venue
        and {{ alias }}.dataset = '{{ dataset }}'
        and {{ alias }}.attribute = '{{ attribute }}'
        and {{ at }} >= {{ alias }}.valid_from_at
        and {{ at }} < {{ alias }}.valid_to_at
{%- endmacro %}

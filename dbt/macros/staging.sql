{#-
  One row per natural key: overlapping pages and republished files repeat rows, and the latest received wins. The
  tie-breakers make the choice the same in every run. Ends a query: `select ... from ... keep_latest(...)`.
  The key begins with the columns that differ most (contract, then time): a tenth to a third of the query's time.
-#}
{% macro keep_latest(key, tie_breakers=[]) -%}
    qualify row_number() over (
        partition by {{ key | join(', ') }}
        order by {{ (['ingested_at desc', 'landing_path desc'] + tie_breakers) | join(', ') }}
    ) = 1
{%- endmacro %}

{#-
  The same choice for large tables, as a whole query: only rows whose key occurs more than once are sorted, so what has no
  repeats streams through. A hash names the key; two keys of one hash are told apart by the sort.
-#}
{% macro latest_rows(relation, key, tie_breakers=[]) -%}
    with repeated as (
        select hash({{ key | join(', ') }}) as key_hash
        from {{ relation }}
        group by all
        having count(*) > 1
    )

    select * from {{ relation }}
    where hash({{ key | join(', ') }}) not in (select key_hash from repeated)
    union all
    select * from {{ relation }}
    where hash({{ key | join(', ') }}) in (select key_hash from repeated)
    {{ keep_latest(key, tie_breakers) }}
{%- endmacro %}

{#- The contract's terms at the time of the row; a left join: an unknown symbol fails a test and never vanishes. -#}
{% macro join_instrument(rows, at) -%}
    left join {{ ref('stg_reference__instruments') }} as instrument
        on {{ rows }}.venue = instrument.venue
        and {{ rows }}.venue_symbol = instrument.venue_symbol
        and {{ at }} >= instrument.valid_from_at
        and {{ at }} < instrument.valid_to_at
{%- endmacro %}

{#-
  What a feed is known to deliver at that time, as `<alias>.value`: dated, because feeds change. `speaker` is the column
  that names whose feed it is: the venue, or for what depends on who hands it on (sides), the feed. An attribute that
  differs between the products of a venue is told apart `by_product`.
-#}
{% macro join_feed(rows, at, dataset, attribute, alias, speaker='venue', by_product=false) -%}
    left join (
        select
            venue,
            product,
            value,
            cast(valid_from as timestamptz) as valid_from_at,
            cast(
                coalesce(
                    lead(valid_from) over (partition by venue, product order by valid_from), date '2999-12-31'
                ) as timestamptz
            ) as valid_to_at
        from {{ ref('venue_feed_changes') }}
        where dataset = '{{ dataset }}' and attribute = '{{ attribute }}'
    ) as {{ alias }}
        on {{ rows }}.{{ speaker }} = {{ alias }}.venue
        {%- if by_product %}
        and {{ rows }}.product = {{ alias }}.product
        {%- endif %}
        and {{ at }} >= {{ alias }}.valid_from_at
        and {{ at }} < {{ alias }}.valid_to_at
{%- endmacro %}

{#-
  Whether a row is the last of a Binance daily archive of USD-M that still ended at 00:00 of the next day, while the
  next day's archive begins with the same label for a later observation (binance-public-data issue 491). Both are kept.
-#}
{% macro is_last_of_old_archive() -%}
    (
        feed = 'binance' and product = 'um' and observed_at = timestamptz '2026-06-25 00:00:00+00'
        and landing_path like '%metrics-2026-06-24%'
    )
{%- endmacro %}

{#- Label that a row of a period carries is the one of its file: the last row of an old archive still has the old one. -#}
{% macro labelled_at(rows) -%}
    case when {{ rows }}.is_last_of_old_archive then {{ add_seconds(rows ~ '.observed_at', -1) }} else {{ rows }}.observed_at end
{%- endmacro %}

{#- Observations are dated by the end of their period, whichever end the label marks. -#}
{% macro observed_moment(rows, label) -%}
    case
        when {{ label }} = 'start' then {{ add_seconds(rows ~ '.observed_at', rows ~ '.period_seconds') }}
        else {{ rows }}.observed_at
    end
{%- endmacro %}

{#- Rows of an aggregator that name an asset and not a contract: `asset.base_asset` where any venue has such an asset. -#}
{% macro join_asset(rows) -%}
    left join (
        select distinct base_asset from {{ ref('stg_reference__instruments') }}
    ) as asset
        on case when {{ rows }}.product = 'aggregate' then {{ rows }}.venue_symbol end = asset.base_asset
{%- endmacro %}

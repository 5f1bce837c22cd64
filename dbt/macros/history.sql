{#-
  A value against its own past. `keys` name the series, which has one row per `position`, a whole number of days or hours.
-#}

{#- Whole periods of `seconds` since the Unix epoch: range frames over numbers mean the same on DuckDB and on Spark. -#}
{% macro period_number(timestamp, seconds) -%}
    cast(floor({{ seconds_between("timestamptz '1970-01-01 00:00:00+00'", timestamp) }} / {{ seconds }}) as bigint)
{%- endmacro %}

{#- Window of the `length` positions before the row, without it; or, with `current`, of the row and those before it. -#}
{% macro trailing(keys, position, length, current=false) -%}
    (
        partition by {{ keys | join(', ') }} order by {{ position }}
        range between {{ length }} preceding and {{ 'current row' if current else '1 preceding' }}
    )
{%- endmacro %}

{#- Number of the `length` positions before the row whose value is smaller (`below`) or larger than the row's. -#}
{% macro past_count(side, expression, keys, position, length) -%}
    {{ return(adapter.dispatch('past_count', 'delever')(side, expression, keys, position, length)) }}
{%- endmacro %}

{% macro duckdb__past_count(side, expression, keys, position, length) -%}
    rank(order by {{ expression }} {{ 'asc' if side == 'below' else 'desc' }} nulls last)
    over {{ trailing(keys, position, length, current=true) }} - 1
{%- endmacro %}

{% macro default__past_count(side, expression, keys, position, length) -%}
    size(filter(
        collect_list({{ expression }}) over {{ trailing(keys, position, length) }},
        past -> past {{ '<' if side == 'below' else '>' }} {{ expression }}
    ))
{%- endmacro %}

{#- Mid-rank percentile of a value among `days` past ones: smaller ones count whole, equal ones half. -#}
{% macro midrank_percentile(days, below, above) -%}
    ({{ days }} + {{ below }} - {{ above }}) / (2.0 * nullif({{ days }}, 0))
{%- endmacro %}

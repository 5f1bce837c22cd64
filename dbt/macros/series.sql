{#- Every `step`-th second from `start` until before `stop`; an expression that makes a row for each in a select list. -#}
{% macro every_seconds(start, stop, step) -%}
    {{ return(adapter.dispatch('every_seconds', 'delever')(start, stop, step)) }}
{%- endmacro %}

{% macro duckdb__every_seconds(start, stop, step) -%}
    unnest(range({{ start }}, {{ stop }}, to_seconds({{ step }})))
{%- endmacro %}

{% macro default__every_seconds(start, stop, step) -%}
    explode(sequence({{ start }}, timestampadd(microsecond, -1, {{ stop }}), make_dt_interval(0, 0, 0, {{ step }})))
{%- endmacro %}

{#- What DuckDB and Spark write differently; models stay in the common subset. -#}

{% macro add_seconds(timestamp, seconds) -%}
    {{ return(adapter.dispatch('add_seconds', 'delever')(timestamp, seconds)) }}
{%- endmacro %}

{% macro duckdb__add_seconds(timestamp, seconds) -%}
    ({{ timestamp }} + to_seconds({{ seconds }}))
{%- endmacro %}

{% macro default__add_seconds(timestamp, seconds) -%}
    timestampadd(second, {{ seconds }}, {{ timestamp }})
{%- endmacro %}

{% macro add_days(day, days) -%}
    {{ return(adapter.dispatch('add_days', 'delever')(day, days)) }}
{%- endmacro %}

{% macro duckdb__add_days(day, days) -%}
    ({{ day }} + cast({{ days }} as integer))
{%- endmacro %}

{% macro default__add_days(day, days) -%}
    date_add({{ day }}, {{ days }})
{%- endmacro %}

{#- UTC day of a moment. A cast of a zoned timestamp asks the calendar library for every row: twenty times the time. -#}
{% macro utc_date(timestamp) -%}
    {{ return(adapter.dispatch('utc_date', 'delever')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__utc_date(timestamp) -%}
    cast(make_timestamp(epoch_us({{ timestamp }})) as date)
{%- endmacro %}

{% macro default__utc_date(timestamp) -%}
    cast({{ timestamp }} as date)
{%- endmacro %}

{#- Start of the `seconds` long bar, counted from the Unix epoch, in which the timestamp lies. -#}
{% macro floor_to_seconds(timestamp, seconds) -%}
    {{ return(adapter.dispatch('floor_to_seconds', 'delever')(timestamp, seconds)) }}
{%- endmacro %}

{% macro duckdb__floor_to_seconds(timestamp, seconds) -%}
    to_timestamp(epoch_us({{ timestamp }}) // (cast(1000000 as bigint) * {{ seconds }}) * {{ seconds }})
{%- endmacro %}

{% macro default__floor_to_seconds(timestamp, seconds) -%}
    timestamp_seconds(unix_seconds({{ timestamp }}) div {{ seconds }} * {{ seconds }})
{%- endmacro %}

{#- Seconds since midnight UTC, with milliseconds. -#}
{% macro second_of_day(timestamp) -%}
    {{ return(adapter.dispatch('second_of_day', 'delever')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__second_of_day(timestamp) -%}
    ((epoch_ms({{ timestamp }}) % 86400000) / 1000.0)
{%- endmacro %}

{% macro default__second_of_day(timestamp) -%}
    ((unix_millis({{ timestamp }}) % 86400000) / 1000.0)
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between', 'delever')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}
    ((epoch_ms({{ later }}) - epoch_ms({{ earlier }})) / 1000.0)
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    ((unix_millis({{ later }}) - unix_millis({{ earlier }})) / 1000.0)
{%- endmacro %}

{#- Exact median (mean of the two middle values); order-independent. -#}
{% macro exact_median(expression) -%}
    {{ return(adapter.dispatch('exact_median', 'delever')(expression)) }}
{%- endmacro %}

{% macro duckdb__exact_median(expression) -%}
    quantile_cont({{ expression }}, 0.5)
{%- endmacro %}

{% macro default__exact_median(expression) -%}
    percentile({{ expression }}, 0.5)
{%- endmacro %}

{#- Distinct values of a group, sorted, comma separated. -#}
{% macro sorted_list(expression) -%}
    {{ return(adapter.dispatch('sorted_list', 'delever')(expression)) }}
{%- endmacro %}

{% macro duckdb__sorted_list(expression) -%}
    string_agg(distinct {{ expression }}, ',' order by {{ expression }})
{%- endmacro %}

{% macro default__sorted_list(expression) -%}
    array_join(array_sort(collect_set({{ expression }})), ',')
{%- endmacro %}

{#- First day of the day, month or year in which `day` lies. -#}
{% macro period_start(period_type, day) -%}
    {{ return(adapter.dispatch('period_start', 'delever')(period_type, day)) }}
{%- endmacro %}

{% macro default__period_start(period_type, day) -%}
    cast(date_trunc('{{ period_type }}', {{ day }}) as date)
{%- endmacro %}

{#-
  Every row of `left`, with the columns of the last row of `right` at or before the left time, per key.
  `right` must be unique per key and time. `columns` maps new name -> column of `right`.
-#}
{% macro asof_join(left, right, keys, left_time, right_time, columns) -%}
    {{ return(adapter.dispatch('asof_join', 'delever')(left, right, keys, left_time, right_time, columns)) }}
{%- endmacro %}

{% macro duckdb__asof_join(left, right, keys, left_time, right_time, columns) -%}
    select
        {{ left }}.*,
        {%- for name, column in columns.items() %}
        {{ right }}.{{ column }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ left }}
    asof left join {{ right }}
        on {% for key in keys %}{{ left }}.{{ key }} = {{ right }}.{{ key }} and {% endfor -%}
        {{ left }}.{{ left_time }} >= {{ right }}.{{ right_time }}
{%- endmacro %}

{% macro default__asof_join(left, right, keys, left_time, right_time, columns) -%}
    select
        {{ left }}.*,
        {%- for name, column in columns.items() %}
        matched.{{ column }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ left }}
    left join lateral (
        select * from {{ right }}
        where {% for key in keys %}{{ left }}.{{ key }} = {{ right }}.{{ key }} and {% endfor -%}
            {{ left }}.{{ left_time }} >= {{ right }}.{{ right_time }}
        order by {{ right }}.{{ right_time }} desc limit 1
    ) as matched on true
{%- endmacro %}

{#- Days of the year that begins on `year_start`: February is the month of its 32nd day. -#}
{% macro days_in_year(year_start) -%}
    (337 + day(last_day({{ add_days(year_start, 31) }})))
{%- endmacro %}

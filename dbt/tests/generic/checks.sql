{#-
  All that single rows and keys of one table have to keep, in one test: a table is read once for its row rules and once
  for each key, and a run has one node, one query and one event a table instead of one for each rule.

  never_null: columns that are known in every row.
  keys: lists of columns; the columns of a list together identify a row. Rows are counted by a hash first: few of
  millions of keys are then compared whole.
  accepted: by column, the values that it may have; null is unknown, and passes.
  ranges: by column, its bounds `min` and `max`, both inclusive and both optional; null is unknown, and passes.

  The result has a row for each broken rule, so a failure says what it is: rule, and rows (of a key: values) that break
  it. The count of failures is their sum. Rules that have a condition of their own are tests of their own (no_nulls).
-#}
{% test checks(model, never_null=[], keys=[], accepted={}, ranges={}) %}
{{ config(fail_calc='cast(coalesce(sum(failing_rows), 0) as bigint)') }}
{%- set rules = [] -%}
{%- for column in never_null -%}
    {%- do rules.append((column ~ ' is null', column ~ ' is null')) -%}
{%- endfor -%}
{%- for column, values in accepted.items() -%}
    {%- set listed = "('" ~ values | join("', '") ~ "')" -%}
    {%- do rules.append((column ~ ' is not one of ' ~ values | join(', '), column ~ ' not in ' ~ listed)) -%}
{%- endfor -%}
{%- for column, bounds in ranges.items() -%}
    {%- for bound, sign in [('min', '<'), ('max', '>')] if bound in bounds -%}
        {%- set broken = column ~ ' ' ~ sign ~ ' ' ~ bounds[bound] -%}
        {%- do rules.append((broken, broken)) -%}
    {%- endfor -%}
{%- endfor -%}
{%- if not rules and not keys -%}
    {{ exceptions.raise_compiler_error('checks of ' ~ model ~ ' name no rule') }}
{%- endif -%}
{%- if rules %}
with counted as (
    select
        {%- for _, broken in rules %}
        count(case when {{ broken }} then 1 end) as rule_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ model }}
)
{% endif -%}
{%- for text, _ in rules %}
select '{{ text | replace("'", "''") }}' as rule, rule_{{ loop.index }} as failing_rows
from counted
where rule_{{ loop.index }} > 0
{{ 'union all' if keys or not loop.last }}
{%- endfor %}
{%- for columns in keys %}
{%- set key = columns | join(', ') %}
select 'key ({{ key }}) is not unique' as rule, count(*) as failing_rows
from (
    select {{ key }}
    from {{ model }}
    where hash({{ key }}) in (
        select hash({{ key }})
        from {{ model }}
        group by 1
        having count(*) > 1
    )
    group by {{ key }}
    having count(*) > 1
) as repeated
having count(*) > 0
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}

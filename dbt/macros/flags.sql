{#-
  Completeness and source class survive every combination: the result takes the weakest of its parts.
  A null part is an absent part and is ignored; no part at all gives null.
-#}

{% macro completeness_levels() -%}
    {{ return(['complete', 'sampled', 'polled_window', 'partial']) }}
{%- endmacro %}

{% macro source_class_levels() -%}
    {{ return(['measured', 'published', 'estimated', 'synthetic']) }}
{%- endmacro %}

{% macro flag_rank(expression, levels) -%}
    {{ return(adapter.dispatch('flag_rank', 'delever')(expression, levels)) }}
{%- endmacro %}

{% macro default__flag_rank(expression, levels) -%}
    case {{ expression }}
        {%- for level in levels %} when '{{ level }}' then {{ loop.index }}{% endfor %} end
{%- endmacro %}

{% macro flag_of_rank(expression, levels) -%}
    {{ return(adapter.dispatch('flag_of_rank', 'delever')(expression, levels)) }}
{%- endmacro %}

{% macro default__flag_of_rank(expression, levels) -%}
    case {{ expression }}
        {%- for level in levels %} when {{ loop.index }} then '{{ level }}'{% endfor %} end
{%- endmacro %}

{#- Weakest of several scalars: greatest() ignores nulls on DuckDB and on Spark. -#}
{% macro weakest_of(expressions, levels) -%}
    {%- set ranks = [] -%}
    {%- for expression in expressions -%}{%- do ranks.append(flag_rank(expression, levels)) -%}{%- endfor -%}
    {{ flag_of_rank('greatest(' ~ ranks | join(', ') ~ ')', levels) }}
{%- endmacro %}

{% macro weakest_completeness(expressions) -%}
    {{ weakest_of(expressions, completeness_levels()) }}
{%- endmacro %}

{% macro weakest_source_class(expressions) -%}
    {{ weakest_of(expressions, source_class_levels()) }}
{%- endmacro %}

{#- Weakest over a group, or over a window when `over` is given. -#}
{% macro weakest_completeness_agg(expression, over='') -%}
    {{ flag_of_rank('max(' ~ flag_rank(expression, completeness_levels()) ~ ')' ~ (' ' ~ over if over else ''),
                    completeness_levels()) }}
{%- endmacro %}

{% macro weakest_source_class_agg(expression, over='') -%}
    {{ flag_of_rank('max(' ~ flag_rank(expression, source_class_levels()) ~ ')' ~ (' ' ~ over if over else ''),
                    source_class_levels()) }}
{%- endmacro %}

{#- Parts whose volume has a different basis give a `mixed` sum. -#}
{% macro combined_basis(expression) -%}
    case when min({{ expression }}) = max({{ expression }}) then min({{ expression }})
        when min({{ expression }}) is not null then 'mixed' end
{%- endmacro %}

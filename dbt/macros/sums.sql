{#-
  A sum of doubles depends on the order of addition, hence on the number of threads. Decimal addition does not, so every
  sum that reaches a mart is taken over decimals: `usd_sum` keeps micro-dollars, `exact_sum` as many places as asked.
  An all-null group stays null.
-#}
{% macro exact_sum(expression, places=6, over='') -%}
    cast(sum(cast({{ expression }} as decimal(38, {{ places }}))){{ ' ' ~ over if over else '' }} as double)
{%- endmacro %}

{% macro usd_sum(expression, over='') -%}
    {{ exact_sum(expression, 6, over) }}
{%- endmacro %}

{% macro base_sum(expression) -%}
    {{ exact_sum(expression, 10) }}
{%- endmacro %}

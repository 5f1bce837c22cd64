{#-
  After a run: says of each failed test of the kind `checks` which rules its table breaks, and in how many rows. The
  test itself tells dbt a number alone.
-#}
{% macro name_broken_rules(results) %}
{%- if execute -%}
    {%- for result in results if result.status == 'fail' and result.node.test_metadata
        and result.node.test_metadata.name == 'checks' -%}
        {%- for row in run_query(result.node.compiled_code).rows -%}
            {%- do log(result.node.name ~ ': ' ~ row[0] ~ ' (' ~ row[1] ~ ')', info=true) -%}
        {%- endfor -%}
    {%- endfor -%}
{%- endif -%}
{% endmacro %}

{#- Schemas are exactly `seeds`, `staging`, `intermediate` and `marts`: the published names are a contract. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

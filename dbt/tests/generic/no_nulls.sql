{#- None of the columns is null. One scan for a table's required columns: a test a column cost more than the models. -#}
{% test no_nulls(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where false
    {%- for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}

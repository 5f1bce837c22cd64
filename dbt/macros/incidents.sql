{#-
  Incidents that say that data are missing or wrong make the rows that they touch `partial` at most. Rows of days are read
  through int_incidents__days, with the flag that it leaves them:

      select ..., {{ weakest_completeness_agg('completeness_left') }} as completeness
      from {{ with_incidents(ref('int_volume__daily'), 'klines', 'days.volume_date') }} as daily
-#}

{% macro incident_datasets() -%}
    {{ return(['klines', 'open_interest', 'liquidations', 'funding', 'depth']) }}
{%- endmacro %}

{#- Whether a value is one of a comma separated list. -#}
{% macro is_listed(value, list) -%}
    position(concat(',', {{ value }}, ',') in concat(',', {{ list }}, ',')) > 0
{%- endmacro %}

{#- The rows of a relation with `completeness_left`; `day` is an expression over `days`, which they are called. -#}
{% macro with_incidents(relation, dataset, day) -%}
(
    select
        days.*,
        case when incidents.venue is not null then 'partial' else days.completeness end as completeness_left
    from {{ relation }} as days
    left join {{ ref('int_incidents__days') }} as incidents
        on days.venue = incidents.venue
        and {{ day }} = incidents.incident_date
        and incidents.dataset = '{{ dataset }}'
        and (
            incidents.is_of_all_contracts
            or {{ is_listed('days.venue_symbol', 'incidents.venue_symbols') }}
        )
)
{%- endmacro %}

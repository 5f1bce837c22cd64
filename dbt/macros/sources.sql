{#-
  Rows of `others` (aggregators, archives of third parties) for what nobody nearer says: those of a venue, asset and day
  on which `nearer` (the venue's own feed, a declared file) has none. Both describe the same thing, so both are never
  added. Rows without an asset speak of a whole venue and of no contract; they are left out.
-#}
{% macro where_nearer_is_silent(others, nearer) -%}
    select {{ others }}.*
    from {{ others }}
    left join (
        select distinct venue, base_asset, cast(event_at as date) as spoken_date from {{ nearer }}
    ) as spoken
        on {{ others }}.venue = spoken.venue
        and {{ others }}.base_asset = spoken.base_asset
        and cast({{ others }}.event_at as date) = spoken.spoken_date
    where {{ others }}.base_asset is not null and spoken.venue is null
{%- endmacro %}

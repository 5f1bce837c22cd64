{#-
  Rows of `others` (aggregators, archives of third parties) for what nobody nearer says: those of a venue, asset and day
  on which `nearer` (the venue's own feed, a declared file) has none; and of several others one, an archive of the
  venue's own messages before an aggregator. All describe the same thing, so they are never added. Rows without an asset
  speak of a whole venue and of no contract; they are left out. Both relations have feed and product.
-#}
{% macro where_nearer_is_silent(others, nearer) -%}
    select {{ others }}.*
    from {{ others }}
    inner join (
        select
            venue,
            base_asset,
            spoken_date,
            feed,
            row_number() over (
                partition by venue, base_asset, spoken_date order by is_aggregate, feed
            ) as preference
        from (
            select distinct
                venue,
                base_asset,
                {{ utc_date('event_at') }} as spoken_date,
                feed,
                product = 'aggregate' as is_aggregate
            from {{ others }}
            where base_asset is not null
        ) as speakers
    ) as chosen
        on {{ others }}.venue = chosen.venue
        and {{ others }}.base_asset = chosen.base_asset
        and {{ utc_date(others ~ '.event_at') }} = chosen.spoken_date
        and {{ others }}.feed = chosen.feed
        and chosen.preference = 1
    left join (
        select distinct venue, base_asset, {{ utc_date('event_at') }} as spoken_date
        from {{ nearer }}
        -- Of venues of which no other speaks, which are most, nothing is read.
        where venue in (select venue from {{ others }})
    ) as spoken
        on {{ others }}.venue = spoken.venue
        and {{ others }}.base_asset = spoken.base_asset
        and {{ utc_date(others ~ '.event_at') }} = spoken.spoken_date
    where spoken.venue is null
{%- endmacro %}

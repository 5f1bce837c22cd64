-- Auto-deleveraging of all sources. Where the venue's own fills speak of a venue, asset and day, the notional of a file
-- is the same deleveraging told again, and only what the fills do not tell (haircut, deficit) is taken from it.
with fills as (
    select
        feed,
        venue,
        venue_symbol,
        base_asset,
        event_at,
        adl_usd,
        cast(null as double) as adl_haircut_usd,
        cast(null as double) as deficit_usd,
        false as is_told_by_fills,
        completeness,
        source_class,
        source
    from {{ ref('stg_venues__adl_fills') }}
),

spoken as (
    select distinct venue, base_asset, {{ utc_date('event_at') }} as spoken_date from fills
),

clusters as (
    select
        'files' as feed,
        adl.venue,
        adl.venue_symbol,
        adl.base_asset,
        adl.event_at,
        case when spoken.venue is null then adl.adl_usd end as adl_usd,
        adl.adl_haircut_usd,
        adl.deficit_usd,
        spoken.venue is not null as is_told_by_fills,
        adl.completeness,
        adl.source_class,
        adl.source
    from {{ ref('stg_files__adl') }} as adl
    left join spoken
        on adl.venue = spoken.venue
        and adl.base_asset = spoken.base_asset
        and {{ utc_date('adl.event_at') }} = spoken.spoken_date
)

select * from fills
union all
select * from clusters
where not is_told_by_fills or adl_haircut_usd is not null or deficit_usd is not null

-- Which entries are still open, by side and leverage. An entry whose level a later low (long) or high (short) reached
-- is gone; open interest tells that as much is still open, so it entered again in the step that passed the level, with
-- the same leverage. Each entry is followed to the step whose level nothing passed since.
{#- Each round doubles how far an entry is followed: 2^8 steps are more than a window has. -#}
{%- set rounds = 8 %}
with classes as (
    select
        *,
        row_number() over (order by venue, venue_symbol, map_date, side, assumed_leverage) as class_number
    from {{ ref('int_liquidation_map__thresholds') }}
),

entered as (
    select
        classes.class_number,
        classes.venue,
        classes.venue_symbol,
        classes.map_date,
        classes.side,
        classes.assumed_leverage,
        classes.leverage,
        classes.maintenance_rate,
        steps.step_number,
        steps.step_end_at,
        steps.remaining_quantity * classes.share as quantity,
        -- Whoever entered at a price whose level the step's own close has passed entered at the close.
        case
            when classes.side = 'long' and steps.entry_price * classes.level_ratio >= steps.close_price
                then steps.close_price
            when classes.side = 'short' and steps.entry_price * classes.level_ratio <= steps.close_price
                then steps.close_price
            else steps.entry_price
        end as entry_price,
        classes.level_ratio
    from {{ ref('int_liquidation_map__steps') }} as steps
    inner join classes
        on steps.venue = classes.venue
        and steps.venue_symbol = classes.venue_symbol
        and steps.map_date = classes.map_date
),

entries as (
    select
        *,
        entry_price * level_ratio as level_price
    from entered
),

passages as (
    select
        entries.class_number,
        entries.step_number,
        min(later.step_number) as passing_step
    from entries
    inner join {{ ref('int_liquidation_map__steps') }} as later
        on entries.venue = later.venue
        and entries.venue_symbol = later.venue_symbol
        and entries.map_date = later.map_date
        and entries.step_number < later.step_number
        and (
            (entries.side = 'long' and entries.level_price >= later.low_price)
            or (entries.side = 'short' and entries.level_price <= later.high_price)
        )
    group by entries.class_number, entries.step_number
),

followed_0 as (
    select
        entries.class_number,
        entries.step_number,
        coalesce(passages.passing_step, entries.step_number) as open_step
    from entries
    left join passages
        on entries.class_number = passages.class_number
        and entries.step_number = passages.step_number
),
{% for round in range(rounds) %}
followed_{{ round + 1 }} as (
    select
        nearer.class_number,
        nearer.step_number,
        further.open_step
    from followed_{{ round }} as nearer
    inner join followed_{{ round }} as further
        on nearer.class_number = further.class_number
        and nearer.open_step = further.step_number
),
{% endfor %}
ended as (
    select
        followed.class_number,
        followed.open_step,
        {{ exact_sum('entries.quantity', 10) }} as quantity,
        {{ exact_sum('case when followed.open_step = 1 then entries.quantity else 0 end', 10) }} as opening_quantity,
        {{ exact_sum('case when entries.step_number < followed.open_step then entries.quantity else 0 end', 10) }}
            as reentered_quantity
    from followed_{{ rounds }} as followed
    inner join entries
        on followed.class_number = entries.class_number
        and followed.step_number = entries.step_number
    group by followed.class_number, followed.open_step
)

select
    entries.venue,
    entries.venue_symbol,
    entries.map_date,
    entries.side,
    entries.assumed_leverage,
    entries.leverage,
    entries.maintenance_rate,
    entries.step_number,
    entries.step_end_at,
    entries.entry_price,
    entries.level_price,
    ended.quantity,
    ended.opening_quantity,
    ended.reentered_quantity
from ended
inner join entries
    on ended.class_number = entries.class_number
    and ended.open_step = entries.step_number
where ended.quantity > 0

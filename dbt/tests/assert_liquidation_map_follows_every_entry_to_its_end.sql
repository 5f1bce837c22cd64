{{ config(meta={'dagster': {'ref': {'name': 'int_liquidation_map__positions'}}}) }}
-- No price after the step in which positions entered last has passed their level. A longer window or a finer step of
-- the seed liquidation_map_parameters than int_liquidation_map__positions follows would show here.
select positions.*, later.step_number as passing_step
from {{ ref('int_liquidation_map__positions') }} as positions
inner join {{ ref('int_liquidation_map__steps') }} as later
    on positions.venue = later.venue
    and positions.venue_symbol = later.venue_symbol
    and positions.map_date = later.map_date
    and positions.step_number < later.step_number
    and (
        (positions.side = 'long' and positions.level_price >= later.low_price)
        or (positions.side = 'short' and positions.level_price <= later.high_price)
    )

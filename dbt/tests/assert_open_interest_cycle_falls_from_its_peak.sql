{{ config(meta={'dagster': {'ref': {'name': 'fct_open_interest_cycle'}}}) }}
-- A day at its peak has no fall, a day after it is not above it, and a trough lies between the peak and the day.
select *
from {{ ref('fct_open_interest_cycle') }}
where (days_since_peak = 0 and drawdown <> 0)
    or drawdown < trough_drawdown
    or trough_date < peak_date
    or trough_date > open_interest_date
    or peak_date < series_start_date

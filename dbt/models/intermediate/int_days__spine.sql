-- Days without gaps, as the semantic layer needs them: the product of four digits, so that no dialect's own series
-- function is asked. 10,000 days reach from 2019 into 2046.
with digits as (
    {% for digit in range(10) %}
    select {{ digit }} as digit{{ ' union all' if not loop.last }}
    {% endfor %}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as day_number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
)

select {{ add_days("date '2019-01-01'", 'day_number') }} as day_date
from numbers
order by day_date

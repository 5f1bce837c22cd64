-- The shares of the assumed leverage mix sum to one.
select sum(share) as total
from {{ ref('leverage_mix') }}
having abs(sum(share) - 1) > 1e-9

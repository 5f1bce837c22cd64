-- The seed's rows win; a contract that the seed does not name has the terms that its venue stated, from the time when
-- they were first seen to differ. The earliest known terms hold before, too. What the seed leaves open (the value of a
-- contract) is asked of the venue, dated. Open ends become far dates, so that every join is a plain half-open range.
with stated as (
    select
        *,
        concat_ws(':', base_asset, multiplier, contract_type, contract_value, quote_asset) as wording,
        row_number() over (
            partition by venue, venue_symbol, event_at order by (feed = venue) desc, feed
        ) as preference
    from {{ ref('stg_venues__instruments') }}
),

compared as (
    select
        *,
        lag(wording) over (partition by venue, venue_symbol order by event_at) as previous_wording
    from stated
    where preference = 1
),

changes as (
    select
        *,
        row_number() over (partition by venue, venue_symbol order by event_at) as change_number,
        lead(event_at) over (partition by venue, venue_symbol order by event_at) as next_change_at
    from compared
    where previous_wording is null or previous_wording <> wording
),

of_venues as (
    select
        venue,
        venue_symbol,
        base_asset,
        multiplier,
        contract_type,
        contract_value,
        quote_asset,
        feed = venue as is_own_name,
        case when change_number = 1 then timestamptz '1970-01-01 00:00:00+00' else event_at end as valid_from_at,
        coalesce(next_change_at, timestamptz '2999-12-31 00:00:00+00') as valid_to_at
    from changes
),

codes as (
    select
        *,
        row_number() over (partition by venue, asset_code order by valid_from desc) as preference
    from {{ ref('asset_codes') }}
),

of_seed as (
    select
        seed.venue,
        seed.venue_symbol,
        seed.base_asset,
        -- Where the contract's name is itself a code (kPEPE), the list of codes knows the venue's own unit.
        coalesce(codes.multiplier, seed.multiplier) as multiplier,
        seed.contract_type,
        seed.contract_value,
        seed.quote_asset,
        true as is_own_name,
        cast(coalesce(seed.valid_from, date '1970-01-01') as timestamptz) as valid_from_at,
        cast(coalesce(seed.valid_to, date '2999-12-31') as timestamptz) as valid_to_at
    from {{ ref('instruments') }} as seed
    left join codes
        on seed.venue = codes.venue
        and seed.venue_symbol = codes.asset_code
        and seed.base_asset = codes.base_asset
        and codes.preference = 1
),

listed as (
    select
        of_seed.* replace (
            coalesce(of_seed.contract_value, of_venues.contract_value) as contract_value,
            greatest(of_seed.valid_from_at, of_venues.valid_from_at) as valid_from_at,
            least(of_seed.valid_to_at, of_venues.valid_to_at) as valid_to_at
        )
    from of_seed
    left join of_venues
        on of_seed.contract_value is null
        and of_seed.venue = of_venues.venue
        and of_seed.venue_symbol = of_venues.venue_symbol
        and of_seed.valid_from_at < of_venues.valid_to_at
        and of_seed.valid_to_at > of_venues.valid_from_at
),

unlisted as (
    select of_venues.*
    from of_venues
    left join of_seed on of_venues.venue = of_seed.venue and of_venues.venue_symbol = of_seed.venue_symbol
    where of_seed.venue is null
),

named as (
    select * from listed
    union all
    select * from unlisted
),

-- Binance files a settled contract, whose name was given to a new one, as NAMESETTLED; its terms are taken to be those
-- of its name.
settled as (
    select * replace (venue_symbol || 'SETTLED' as venue_symbol, false as is_own_name)
    from named
    where venue = 'binance' and contract_type = 'linear' and is_own_name
),

terms as (
    select * from named
    union all
    select * from settled
)

select
    terms.venue,
    terms.venue_symbol,
    terms.base_asset,
    cast(terms.multiplier as double) as multiplier,
    terms.contract_type,
    cast(terms.contract_value as double) as contract_value,
    terms.quote_asset,
    usd.asset is not null as is_usd_quoted,
    terms.is_own_name,
    terms.valid_from_at,
    terms.valid_to_at
from terms
left join {{ ref('usd_par_assets') }} as usd on terms.quote_asset = usd.asset

-- One row per event: when, to whom, and what happened in words.
-- noqa: disable=LT02,LT05
select
    e.run_id,
    e.venue,
    e.event_no,
    e.seconds,
    e.round,
    e.account_id,
    case e.kind
        when 'book' then printf(
            'liquidated: %s of %s %s the book at %s, fee %s USD',
            e.quantity::varchar, e.contract, if(e.quantity > 0, 'sold into', 'bought back from'), round(e.price, 8)::varchar,
            round(e.fee_usd, 2)::varchar
        )
        when 'backstop' then printf(
            '%s of %s taken over by the fund of %s at the mark %s, equity below the backstop ratio: %s',
            e.quantity::varchar, e.contract, e.venue, round(e.price, 8)::varchar,
            if(e.deficit_usd > 0, 'owed ' || round(e.deficit_usd, 2) || ' USD', 'left ' || round(e.left_to_fund_usd, 2) || ' USD')
        )
        when 'unfilled' then printf(
            '%s of %s found no room in the book and went to the fund of %s at the mark %s: %s',
            e.quantity::varchar, e.contract, e.venue, round(e.price, 8)::varchar,
            if(e.deficit_usd > 0, 'owed ' || round(e.deficit_usd, 2) || ' USD', 'left ' || round(e.left_to_fund_usd, 2) || ' USD')
        )
        when 'deficit' then printf('flat, and %s USD of %s not paid', round(e.deficit_usd, 2)::varchar, e.contract)
        when 'adl' then printf(
            'deleveraged by %s: %s of %s closed at %s, %s USD given up',
            e.policy, e.quantity::varchar, e.contract, round(e.price, 8)::varchar, round(e.haircut_usd, 2)::varchar
        )
        when 'rehedge' then printf(
            'traded back %s of %s at %s after losing the other leg', e.quantity::varchar, e.contract, round(e.price, 8)::varchar
        )
        when 'transfer_out' then printf('%s USD sent to another account of %s', round(e.value_usd, 2)::varchar, e.owner_id)
        when 'transfer_in' then printf('%s USD arrived from another account of %s', round(e.value_usd, 2)::varchar, e.owner_id)
        when 'leverage_cap' then printf('%s of %s cut before the shock by the leverage cap', e.quantity::varchar, e.contract)
    end as what
from stress_event as e

{#-
  What a venue's numbers count is data: the seed `feed_units` says it for each feed, product, entity and field, dated.
  Here it is joined, and fields become contracts, base assets and USD. Every model that uses these macros has the CTE
  `units` and the aliases `units` (join_units) and `instrument` (join_instrument).

    counts      base assets                                  USD
    base        value x multiplier                           x price
    contracts   linear: value x contract_value x multiplier  inverse: value x contract_value
    quote, usd  inverse: / price                             value; a USD stablecoin is taken at par
-#}

{#- Body of the CTE `units`: one row per feed, product and validity interval, with a column `<field>_counts` for each. -#}
{% macro units_of(entity, fields) %}
    select
        bounds.feed,
        bounds.product,
        cast(bounds.valid_from as timestamptz) as valid_from_at,
        cast(coalesce(bounds.valid_to, date '2999-12-31') as timestamptz) as valid_to_at,
        {%- for field in fields %}
        max(case when dated.field = '{{ field }}' then dated.counts end) as {{ field }}_counts{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            feed,
            product,
            valid_from,
            lead(valid_from) over (partition by feed, product order by valid_from) as valid_to
        from (select distinct feed, product, valid_from from {{ ref('feed_units') }} where entity = '{{ entity }}') as changes
    ) as bounds
    inner join (
        select
            *,
            lead(valid_from) over (partition by feed, product, field order by valid_from) as valid_to
        from {{ ref('feed_units') }}
        where entity = '{{ entity }}'
    ) as dated
        on bounds.feed = dated.feed
        and bounds.product = dated.product
        and bounds.valid_from >= dated.valid_from
        and bounds.valid_from < coalesce(dated.valid_to, date '2999-12-31')
    group by bounds.feed, bounds.product, bounds.valid_from, bounds.valid_to
{% endmacro %}

{#- Exchanges that others run on Hyperliquid are the products perp_<name>, all in the units of `perp`. -#}
{% macro unit_product(product) -%}
    case when {{ product }} like 'perp#_%' escape '#' then 'perp' else {{ product }} end
{%- endmacro %}

{% macro join_units(rows, at) -%}
    left join units
        on {{ rows }}.feed = units.feed
        and {{ unit_product(rows ~ '.product') }} = units.product
        and {{ at }} >= units.valid_from_at
        and {{ at }} < units.valid_to_at
{%- endmacro %}

{#- The venue's own contracts: as counted, else worked out from what one is worth. -#}
{% macro in_contracts(rows, fields) -%}
    coalesce(
        {%- for field in fields %}
        case when units.{{ field }}_counts = 'contracts' then {{ rows }}.{{ field }} end,
        {%- endfor %}
        {%- for field in fields %}
        case
            when units.{{ field }}_counts = 'base' and instrument.contract_type = 'linear'
                then {{ rows }}.{{ field }} / instrument.contract_value
            when units.{{ field }}_counts = 'usd' and instrument.contract_type = 'inverse'
                then {{ rows }}.{{ field }} / instrument.contract_value
        end{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- Base assets after the multiplier, where no price is needed: what is counted in them, else linear contracts. -#}
{% macro in_base(rows, fields) -%}
    coalesce(
        {%- for field in fields %}
        case when units.{{ field }}_counts = 'base' then {{ rows }}.{{ field }} * instrument.multiplier end,
        {%- endfor %}
        {%- for field in fields %}
        case
            when units.{{ field }}_counts = 'contracts' and instrument.contract_type = 'linear'
                then {{ rows }}.{{ field }} * instrument.contract_value * instrument.multiplier
        end{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- USD where no price is needed: the venue's own quote value first, else inverse contracts, which are worth USD. -#}
{% macro in_usd(rows, fields) -%}
    coalesce(
        {%- for field in fields %}
        case
            when units.{{ field }}_counts = 'usd' or (units.{{ field }}_counts = 'quote' and instrument.is_usd_quoted)
                then {{ rows }}.{{ field }}
        end,
        {%- endfor %}
        {%- for field in fields %}
        case
            when units.{{ field }}_counts = 'contracts' and instrument.contract_type = 'inverse'
                then {{ rows }}.{{ field }} * instrument.contract_value
        end{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

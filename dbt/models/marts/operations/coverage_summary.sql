{#- Every fact table and what its day is; a test fails when one is missing. -#}
{%- set days = {
    'fct_adl': 'cast(bar_start_at as date)',
    'fct_basis': 'basis_date',
    'fct_early_warning': 'crowding_date',
    'fct_early_warning_backtest': 'score_date',
    'fct_event_summary': 'cast(trough_at as date)',
    'fct_event_synchrony': 'cast(bar_start_at as date)',
    'fct_event_window': 'cast(bar_start_at as date)',
    'fct_exchange_share': 'period_start',
    'fct_insurance_fund': 'fund_date',
    'fct_liquidation_map': 'map_date',
    'fct_liquidation_tax': 'tax_date',
    'fct_liquidity': 'cast(hour_start_at as date)',
    'fct_open_interest_cycle': 'open_interest_date',
    'fct_reconciliation': 'published_date',
    'fct_tax_concentration': "cast(cast(tax_year as varchar) || '-01-01' as date)",
} -%}
with facts as (
    {% for table, day in days.items() %}
    select
        '{{ table }}' as table_name,
        completeness,
        source_class,
        count(*) as row_count,
        min({{ day }}) as first_date,
        max({{ day }}) as last_date
    from {{ ref(table) }}
    group by completeness, source_class
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    table_name,
    completeness,
    source_class,
    row_count,
    cast(row_count as double) / sum(row_count) over (partition by table_name) as row_share,
    first_date,
    last_date
from facts
order by table_name, completeness, source_class

select
    figure_id,
    subject,
    description,
    published_value,
    published_low,
    published_high,
    published_date,
    unit,
    comparison,
    tolerance,
    published_source,
    definition,
    days_basis,
    conflict_note,
    missing_note
from {{ ref('published_figures') }}

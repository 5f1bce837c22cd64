-- Measured data that cover the figure come first, then arithmetic on published values, then whatever else is known.
with candidates as (
    select
        *,
        row_number() over (
            partition by figure_id
            order by
                case
                    when source_class = 'synthetic' then 4
                    when is_partial or days_covered < days_needed then 3
                    when source_class = 'published' then 2
                    else 1
                end,
                {{ flag_rank('source_class', source_class_levels()) }},
                {{ flag_rank('completeness', completeness_levels()) }},
                computed_value
        ) as preference
    from {{ ref('int_reconciliation__computed') }}
),

compared as (
    select
        figures.*,
        computed.computed_value,
        computed.computed_date,
        computed.days_covered,
        computed.days_needed,
        computed.is_partial,
        computed.explanation,
        computed.note as computed_note,
        computed.completeness as computed_completeness,
        computed.source_class as computed_source_class,
        coalesce(
            figures.published_low,
            figures.published_value - abs(figures.published_value) * figures.tolerance
        ) as accepted_low,
        case
            when figures.comparison <> 'at_least'
                then
                    coalesce(
                        figures.published_high,
                        figures.published_value + abs(figures.published_value) * figures.tolerance
                    )
        end as accepted_high
    from {{ ref('stg_reference__published_figures') }} as figures
    left join candidates as computed
        on figures.figure_id = computed.figure_id
        and computed.preference = 1
),

ranged as (
    select
        *,
        coalesce(computed_value >= accepted_low, false)
        and (accepted_high is null or computed_value <= accepted_high) as is_accepted
    from compared
),

judged as (
    select
        *,
        case
            when comparison = 'never' or computed_value is null then 'not_computable'
            when computed_source_class = 'synthetic' then 'not_computable'
            when is_partial or days_covered < days_needed then 'not_computable'
            -- Publishers that contradict each other stay so, whatever the data say of one of them.
            when conflict_note is not null then 'conflict'
            when is_accepted
                -- Published parts that add up explain a figure; only data of one's own can match it.
                then case when computed_source_class = 'published' then 'explained' else 'match' end
            when explanation is not null then 'explained'
            else 'conflict'
        end as status
    from ranged
)

select
    figure_id,
    subject,
    description,
    published_value,
    published_low,
    published_high,
    published_date,
    unit,
    published_source,
    definition,
    days_basis,
    computed_value,
    computed_date,
    -- Where a range alone was printed, its nearest bound is what a value outside is compared with.
    case
        when published_value is not null then computed_value / nullif(published_value, 0)
        when computed_value < published_low then computed_value / nullif(published_low, 0)
        when computed_value > published_high then computed_value / nullif(published_high, 0)
        when computed_value is not null then 1
    end as ratio,
    days_covered,
    days_needed,
    cast(days_covered as double) / nullif(days_needed, 0) as coverage,
    status,
    case
        when comparison = 'never' or computed_value is null
            then coalesce(missing_note, 'nothing was computed for this figure')
        when computed_source_class = 'synthetic'
            then 'the computed value comes from the synthetic sample, which was calibrated to the published figures: '
                || computed_note
        when status = 'not_computable'
            then computed_note
                || case
                    when days_covered < days_needed
                        then ', ' || cast(days_covered as varchar) || ' of ' || cast(days_needed as varchar) || ' days'
                    else ''
                end
                || coalesce('; ' || missing_note, '')
        when status = 'explained'
            then coalesce(
                    explanation, 'agrees with other published figures, without data of its own: ' || computed_note
                )
        when conflict_note is not null
            then conflict_note || '; ' || computed_note
                || case when is_accepted then ', and the value lies in the published range' else '' end
        else computed_note
    end as note,
    case
        when computed_value is null or is_partial or days_covered < days_needed then 'partial'
        else computed_completeness
    end as completeness,
    coalesce(computed_source_class, 'published') as source_class
from judged
order by figure_id

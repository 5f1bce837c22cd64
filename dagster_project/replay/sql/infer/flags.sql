-- One row: what the parts of an inferred book are. Depth and funds that are assumed have no source class; a fund that
-- the parameters give has none either, and is not assumed here.
-- Needs infer_cohort, infer_contract, infer_depth, infer_fund, fund_given.
select
    (select count(*) from infer_cohort where source_class = 'synthetic')
    + (select count(*) from infer_depth where source_class = 'synthetic')
    + (select count(*) from infer_fund where source_class = 'synthetic') > 0 as is_synthetic,
    (select string_agg(distinct venue, ', ' order by venue) from infer_contract) as venues,
    (select count(*) from infer_cohort) as cohorts,
    (select count(*) from infer_contract) as contracts,
    (
        select arg_max(completeness, list_position(['complete', 'sampled', 'polled_window', 'partial'], completeness))
        from infer_cohort
    ) as completeness,
    (select count(*) from infer_depth where source_class is null) as depth_assumed,
    (
        select count(distinct f.venue) from infer_fund as f
        where f.source_class is null and f.venue not in (select g.venue from fund_given as g)
    ) as funds_assumed;

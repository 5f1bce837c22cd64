{#-
  Tables that are made whole and seeds: `versions.whole` remembers on what a table rests (a hash over the contents of all
  its inputs) and what it holds (a hash over its rows). One whose inputs are what they were is left as it is, so a run
  does what new data ask for and no more. A project that changed begins without a memory (`look_at_days`), and a full
  refresh does not ask it. A model that reads its models by day only around events says so:

      {{ config(meta={'rests_on_days_around_events': true}) }}
-#}

{% materialization table, adapter='duckdb' %}
    {%- set needed = rests_on_now() -%}
    {%- if is_as_it_was(needed) -%}
        {% call noop_statement('main', 'UNCHANGED') %}{% endcall %}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {# Forgotten first: a run that ends between table and memory makes the table again. #}
    {%- do run_query("delete from versions.whole where model = '" ~ this.identifier ~ "'") -%}
    {%- set made = dbt.materialization_table_duckdb() -%}
    {%- if needed is not none -%}
        {%- do run_query(
            "insert into versions.whole select '" ~ this.identifier ~ "', '" ~ needed ~ "', " ~ content_of_whole()
        ) -%}
    {%- endif -%}
    {{ return(made) }}
{% endmaterialization %}

{#- A model by day without a day to make: its tables, columns and hooks are not even looked at. -#}
{% materialization incremental, adapter='duckdb' %}
    {%- if not flags.EMPTY and changed_days() == [] -%}
        {% call noop_statement('main', 'UNCHANGED') %}{% endcall %}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {{ return(dbt.materialization_incremental_duckdb()) }}
{% endmaterialization %}

{% materialization seed, adapter='duckdb' %}
    {%- if is_as_it_was('project') -%}
        {# dbt shows a seed's rows from this result, when it is asked to show any. #}
        {%- do store_result('agate_table', response='UNCHANGED', agate_table=run_query('select 0 as unchanged')) -%}
        {% call noop_statement('main', 'UNCHANGED') %}{% endcall %}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {%- do run_query("delete from versions.whole where model = '" ~ this.identifier ~ "'") -%}
    {%- set made = dbt.materialization_seed_default() -%}
    {%- do run_query("insert into versions.whole values ('" ~ this.identifier ~ "', 'project', null)") -%}
    {{ return(made) }}
{% endmaterialization %}

{% macro is_as_it_was(needed) %}
    {%- if needed is none or flags.FULL_REFRESH or flags.EMPTY or load_cached_relation(this) is none -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set remembered = run_query(
        "select count(*) from versions.whole where model = '" ~ this.identifier ~ "' and rests_on = '" ~ needed ~ "'"
    ) -%}
    {{ return(remembered.rows[0][0] > 0) }}
{% endmacro %}

{#- The rows' hash is for those that read the table; where its days are remembered, they read those. -#}
{% macro content_of_whole() %}
    {%- if model.config.meta.get('with_days') -%}{{ return('null') }}{%- endif -%}
    {{ return("(select coalesce(cast(sum(hash(made)) as varchar), 'empty') from " ~ this ~ " as made)") }}
{% endmacro %}

{#- Hash over the contents of all inputs; none where one of them is not remembered. Seeds are the project's. -#}
{% macro rests_on_now() %}
    {%- set inputs = {'by_day': [], 'whole': []} -%}
    {%- do find_inputs(model, inputs) -%}
    {%- set query -%}
        select
            case
                when (select count(*) from versions.whole where model in {{ name_list(inputs.whole) }}) = {{ inputs.whole | unique | list | length }}
                    then coalesce(cast(sum(part) as varchar), 'nothing')
            end as rests_on
        from (
            select hash(model, day, content) as part
            from versions.days
            where content is not null and model in {{ name_list(inputs.by_day) }}
            {%- if model.config.meta.get('rests_on_days_around_events') %}
                and exists (
                    select *
                    from {{ graph.nodes['model.delever.stg_reference__events'].relation_name }} as events
                    where
                        day >= {{ utc_date('events.window_start_at') }} - 91
                        and day <= {{ utc_date('events.window_end_at') }} + 2
                )
            {%- endif %}
            union all
            select hash(model, content) as part
            from versions.whole
            where model in {{ name_list(inputs.whole) }}
        ) as parts
    {%- endset -%}
    {{ return(run_query(query).rows[0][0]) }}
{% endmacro %}

{#- What a node reads, through views. -#}
{% macro find_inputs(node, inputs) %}
    {%- for unique_id in node.depends_on.nodes -%}
        {%- if unique_id in graph.sources -%}
            {%- do inputs.by_day.append('raw.' ~ graph.sources[unique_id].name) -%}
        {%- else -%}
            {%- set input = graph.nodes[unique_id] -%}
            {%- if input.config.materialized == 'view' -%}
                {%- do find_inputs(input, inputs) -%}
            {%- elif input.config.meta.get('by_day') or input.config.meta.get('with_days') -%}
                {%- do inputs.by_day.append(input.name) -%}
            {%- elif input.resource_type == 'model' -%}
                {%- do inputs.whole.append(input.name) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}

{% macro name_list(names) -%}
    ('' {%- for name in names | unique -%}, '{{ name }}'{%- endfor -%})
{%- endmacro %}

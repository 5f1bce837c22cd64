{#-
  Models by day. `versions.days` remembers, for each model and day, on what the day's rows rest (a hash over the contents
  of the days of its inputs) and what they hold (a hash over the rows). A day is made again when what it rests on is not
  what it rested on: so late data reach exactly the days that depend on them, a repeat that changes nothing stops where
  nothing changes, and a run that was killed goes on where it ended, since rows and memory are one transaction.

      {{ config(**by_day('volume_date', {'stg_venues__klines': [1, 1]})) }}
      ... from {{ ref('stg_venues__klines') }} where {{ times_needed('stg_venues__klines', 'bar_start_at') }}
      ... where {{ days_made('volume_date') }}

  `[1, 1]` says that a row of a day rests on the input's days from one before to one after. Seeds, models and macros are
  whole: where one changes, everything is made again (DELEVER_MODELS_DIGEST, see dbt/README.md). Another adapter than
  DuckDB makes every model whole.
-#}

{% macro by_day(day, rests_on, terms=none) %}
    {%- if target.type != 'duckdb' -%}{{ return({}) }}{%- endif -%}
    {{ return({
        'materialized': 'incremental',
        'incremental_strategy': 'append',
        'on_schema_change': 'fail',
        'meta': {'by_day': {'day': day, 'rests_on': rests_on, 'terms': terms}},
        'pre_hook': ['{{ forget_changed_days() }}'],
        'post_hook': ['{{ remember_changed_days() }}'] + (['{{ remember_terms() }}'] if terms else []),
    }) }}
{% endmacro %}

{#- A model that is made whole, whose days others rest on. `day` is an expression over its columns. -#}
{% macro with_days(day) %}
    {%- if target.type != 'duckdb' -%}{{ return({}) }}{%- endif -%}
    {{ return({
        'meta': {'with_days': day},
        'post_hook': ['{{ remember_whole() }}'],
    }) }}
{% endmacro %}

{#- Condition on a date of an input: its days on which the days to be made rest. -#}
{% macro days_needed(input, column) -%}
    {{ in_ranges(ranges_of_input(input), column, false) }}
{%- endmacro %}

{#- The same for a moment. Bare comparisons of the column let DuckDB skip what it need not read. -#}
{% macro times_needed(input, column) -%}
    {{ in_ranges(ranges_of_input(input), column, true) }}
{%- endmacro %}

{% macro ranges_of_input(input) %}
    {%- if changed_days() is none -%}{{ return(none) }}{%- endif -%}
    {%- set window = model.config.meta.by_day.rests_on[input] -%}
    {{ return(changed_ranges(window[0], window[1])) }}
{% endmacro %}

{#- Condition on the model's own date: the days to be made. -#}
{% macro days_made(column) -%}
    {{ in_ranges(changed_ranges(0, 0), column, false) }}
{%- endmacro %}

{#- The same for a moment. -#}
{% macro times_made(column) -%}
    {{ in_ranges(changed_ranges(0, 0), column, true) }}
{%- endmacro %}

{#- Raw rows of the days to be made. -#}
{% macro raw_rows(entity) -%}
    {%- set condition = days_needed('raw.' ~ entity, 'date') -%}
    {%- if condition == 'true' -%}
        {{ source('raw', entity) }}
    {%- else -%}
        (select * from {{ source('raw', entity) }} where {{ condition }})
    {%- endif -%}
{%- endmacro %}

{% macro in_ranges(ranges, column, is_moment) -%}
    {%- if ranges is none -%}
        true
    {%- elif not ranges -%}
        false
    {%- elif is_moment -%}
        ({% for first, last, next_day in ranges %}
            {{- column }} >= timestamptz '{{ first }} 00:00:00+00' and {{ column }} < timestamptz '{{ next_day }} 00:00:00+00'
            {{- ' or ' if not loop.last }}
        {%- endfor %})
    {%- else -%}
        ({% for first, last, next_day in ranges %}
            {{- column }} between date '{{ first }}' and date '{{ last }}'{{ ' or ' if not loop.last }}
        {%- endfor %})
    {%- endif -%}
{%- endmacro %}

{#-
  Runs of days to be made, each with `before` days more before it and `after` after it, as [first, last, the day after];
  none where all are made.
-#}
{% macro changed_ranges(before, after) %}
    {%- set days = changed_days() -%}
    {%- if days is none -%}{{ return(none) }}{%- endif -%}
    {%- set day = modules.datetime.timedelta(days=1) -%}
    {%- set ranges = [] -%}
    {%- for changed in days -%}
        {%- set first, last = changed - before * day, changed + after * day -%}
        {%- if ranges and first <= ranges[-1][2] -%}
            {%- do ranges.append([ranges.pop()[0], last, last + day]) -%}
        {%- else -%}
            {%- do ranges.append([first, last, last + day]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ranges) }}
{% endmacro %}

{#- Days to be made, in order, or none for all. Asked once: the hooks see what the query saw. -#}
{% macro changed_days() %}
    {%- if not execute or model.resource_type != 'model' or not model.config.meta.get('by_day') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if 'changed_days' not in model -%}
        {%- set days = none -%}
        {%- if is_incremental() -%}
            {%- set query = 'select distinct day from (' ~ changed_days_query() ~ ') as changed order by day' -%}
            {%- set days = run_query(query).columns[0].values() | list -%}
        {%- endif -%}
        {%- do model.update({'changed_days': days}) -%}
    {%- endif -%}
    {{ return(model.changed_days) }}
{% endmacro %}

{#- What each day rests on now: one row per day, from the contents of the inputs' days. -#}
{% macro needed_query() %}
    select day, cast(sum(part) as varchar) as rests_on
    from (
        {%- for input, window in model.config.meta.by_day.rests_on.items() %}
        select cast(days.day + spread.days as date) as day, hash('{{ input }}', days.day, days.content) as part
        from versions.days
        cross join (
            select cast(unnest(range(-{{ window[1] }}, {{ window[0] }} + 1)) as integer) as days
        ) as spread
        where days.model = '{{ input }}' and days.content is not null
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as parts
    group by day
{% endmacro %}

{% macro changed_days_query() %}
    select coalesce(needed.day, held.day) as day
    from ({{ needed_query() }}) as needed
    full outer join (select day, rests_on from versions.days where model = '{{ this.identifier }}') as held
        on needed.day = held.day
    where needed.rests_on is distinct from held.rests_on
    {%- if model.config.meta.by_day.terms %}
    union
    select distinct {{ model.config.meta.by_day.day }}
    from {{ this }}
    where venue_symbol in ({{ changed_terms_query() }})
    {%- endif %}
{% endmacro %}

{#- Contracts whose terms are not what they were when the model was last made. -#}
{% macro changed_terms_query() %}
    select coalesce(stated.name, held.name)
    from ({{ terms_query() }}) as stated
    full outer join (select name, terms from versions.terms where model = '{{ this.identifier }}') as held
        on stated.name = held.name
    where stated.terms is distinct from held.terms
{% endmacro %}

{#- An aggregator may name an asset where it means its contracts, so a new asset is a change of its name, too. -#}
{% macro terms_query() %}
    {%- set terms = ref(model.config.meta.by_day.terms) %}
    select name, cast(sum(part) as varchar) as terms
    from (
        select terms.venue_symbol as name, hash(terms) as part from {{ terms }} as terms
        {%- if terms.identifier == 'stg_reference__instruments' %}
        union all
        select distinct base_asset as name, hash(base_asset) as part from {{ terms }}
        {%- endif %}
    ) as parts
    group by name
{% endmacro %}

{% macro forget_changed_days() %}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ days_made(model.config.meta.by_day.day) }}
    {%- endif -%}
{% endmacro %}

{#-
  Runs before the transaction ends, so `versions.days` still says what the deletion saw. What is read from raw has new
  contents wherever it was read again: its rows carry when they were received.
-#}
{% macro remember_changed_days() %}
    {%- if execute -%}
    {%- set by_day = model.config.meta.by_day -%}
    {%- set is_raw = 'raw.' in by_day.rests_on.keys() | join -%}
    {%- set made = changed_ranges(0, 0) -%}
    {%- set name = this.identifier -%}
    create or replace temp table remembered_{{ name }} as
    select '{{ name }}' as model, needed.day, needed.rests_on, held.content
    from ({{ needed_query() }}) as needed
    left join (
        select
            {{ by_day.day }} as day,
            {% if is_raw -%}
            '{{ run_started_at.isoformat() }}'
            {%- else -%}
            cast(sum(hash(made)) as varchar)
            {%- endif %} as content
        from {{ this }} as made
        where {{ in_ranges(made, by_day.day, false) }}
        group by {{ by_day.day }}
    ) as held on needed.day = held.day
    where {{ in_ranges(made, 'needed.day', false) }};
    delete from versions.days where model = '{{ name }}' and {{ in_ranges(made, 'day', false) }};
    insert into versions.days select * from remembered_{{ name }};
    drop table remembered_{{ name }};
    -- dbt-duckdb drops the table that a full refresh replaces in a transaction that it never commits.
    drop table if exists {{ this.incorporate(path={'identifier': name ~ '__dbt_backup'}) }}
    {%- endif -%}
{% endmacro %}

{% macro remember_terms() %}
    {%- if execute -%}
    delete from versions.terms where model = '{{ this.identifier }}';
    insert into versions.terms select '{{ this.identifier }}', * from ({{ terms_query() }})
    {%- endif -%}
{% endmacro %}

{% macro remember_whole() %}
    {%- if execute -%}
    delete from versions.days where model = '{{ this.identifier }}';
    insert into versions.days
    select '{{ this.identifier }}', {{ model.config.meta.with_days }}, null, cast(sum(hash(made)) as varchar)
    from {{ this }} as made
    group by all
    {%- endif -%}
{% endmacro %}

{#- A model by day without a memory is made whole, as with --full-refresh. -#}
{% macro should_full_refresh() %}
    {%- set configured = config.get('full_refresh') -%}
    {%- if configured is none -%}{%- set configured = flags.FULL_REFRESH -%}{%- endif -%}
    {%- if configured or not execute or model.resource_type != 'model' or not model.config.meta.get('by_day') -%}
        {{ return(configured) }}
    {%- endif -%}
    {%- if 'has_memory' not in model -%}
        {%- set remembered = run_query("select count(*) from versions.days where model = '" ~ this.identifier ~ "'") -%}
        {%- do model.update({'has_memory': remembered.rows[0][0] > 0}) -%}
    {%- endif -%}
    {{ return(not model.has_memory) }}
{% endmacro %}

{#-
  At the start of a run: the memory, emptied where the project is not the one that made it, and the raw days as they are
  now. A file that was written within the last seconds may be written again without its time or size telling, so its
  day counts as changed once more.
-#}
{% macro look_at_days() %}
    {%- if target.type == 'duckdb' and execute -%}
    {%- set digest = env_var('DELEVER_MODELS_DIGEST', '') -%}
    create schema if not exists versions;
    create table if not exists versions.project (digest varchar);
    create table if not exists versions.days (model varchar, day date, rests_on varchar, content varchar);
    create table if not exists versions.terms (model varchar, name varchar, terms varchar);
    create table if not exists versions.whole (model varchar, rests_on varchar, content varchar);
    delete from versions.days
    where model like 'raw.%' or not exists (select * from versions.project where digest = '{{ digest }}' and digest <> '');
    delete from versions.whole
    where not exists (select * from versions.project where digest = '{{ digest }}' and digest <> '');
    delete from versions.project;
    insert into versions.project values ('{{ digest }}');
    insert into versions.days
    select
        'raw.' || split_part(regexp_extract(filename, '/([^/]*)/[^/]*/date=[^/]*/[^/]*$', 1), '__', -1) as model,
        cast(regexp_extract(filename, '/date=([0-9-]*)/[^/]*$', 1) as date) as day,
        null as rests_on,
        case
            when max(last_modified) < now() - interval 3 seconds then cast(sum(hash(filename, size, last_modified)) as varchar)
            else cast(now() as varchar)
        end as content
    from read_blob('{{ env_var("DELEVER_RAW") }}/*/*/date=*/*.parquet')
    group by all
    {%- endif -%}
{% endmacro %}

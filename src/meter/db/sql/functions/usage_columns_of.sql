-- A batch given as rows, as the columns that settlement takes.
--
-- events: as settle_usage takes them. Returns: the columns; every event is a kind of its own.
create or replace function usage_columns_of(events json) returns usage_columns
language sql stable
set search_path = public, pg_temp
as $$
    with event as (
        select read.*, dense_rank() over (order by org_id collate "C") as org_no,
               dense_rank() over (order by org_id collate "C", user_id collate "C") as account_no,
               row_number() over (order by org_id collate "C", event_key, pos) as kind_no
        from read_usage(events) as read
    ),
    org as (
        select array_agg(org_id order by org_no) as ids from (select distinct org_no, org_id from event) as orgs
    ),
    account as (
        select array_agg(org_no::integer order by account_no) as orgs, array_agg(user_id order by account_no) as users
        from (select distinct account_no, org_no, user_id from event) as accounts
    )
    select row(
        (select ids from org), (select orgs from account), (select users from account),
        array_agg(source order by kind_no), array_agg(service_type order by kind_no),
        array_agg(service_name order by kind_no), array_agg(quantity order by kind_no),
        array_agg(key_source order by kind_no), array_agg(coalesce(credits_given, false) order by kind_no),
        array_agg(coalesce(key_source_given, false) order by kind_no), array_agg(folded::text order by kind_no),
        array_agg(pos::integer order by kind_no), array_agg(account_no::integer order by kind_no),
        array_agg(kind_no::integer order by kind_no), array_agg(event_key order by kind_no),
        array_agg(event_id order by kind_no), array_agg(credits order by kind_no), array_agg(api_cost order by kind_no),
        array_agg(markup order by kind_no), array_agg(request_id order by kind_no),
        array_agg(metadata::text order by kind_no), array_agg(occurred_at order by kind_no),
        array_agg(refusal order by kind_no)
    )::usage_columns
    from event
$$;

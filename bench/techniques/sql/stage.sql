-- Where binary COPY puts the events of a transaction.
create temporary table staged (
    event_key uuid, occurred_at timestamptz, org_id varchar, source varchar, user_id varchar, credits numeric,
    service_type varchar, quantity numeric, request_id varchar, metadata jsonb
) on commit delete rows

-- Begins a write that came with an Idempotency-Key: holds the key until the transaction ends and looks for an answer.
--
-- p_org_id, p_caller, p_route, p_key: what the key counts for. p_body_sha256: of the request's body, by value.
-- Returns: the status and the body that the first request was answered with; no row where this is the first.
-- Locks: an advisory lock of the key, never waited for.
-- Raises: MT020 the first request is still running; MT021 the key came before with another body.
create or replace function begin_keyed_request(
    p_org_id varchar, p_caller varchar, p_route varchar, p_key varchar, p_body_sha256 bytea
)
returns table (status smallint, body bytea)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    first record;
begin
    perform hold_request_key(p_org_id, p_caller, p_route, p_key);
    -- A statement of its own, begun with the lock: what the holder before committed is seen.
    select answer.body_sha256, answer.status, answer.body into first
    from request_answers answer
    where answer.org_id = p_org_id and answer.caller = p_caller and answer.route = p_route and answer.key = p_key;
    if not found then
        return;
    elsif first.body_sha256 <> p_body_sha256 then
        raise exception 'this idempotency key came before with another request' using errcode = 'MT021',
            hint = 'Use a new key for a new request.';
    end if;
    return query select first.status, first.body;
end
$$;

-- Holds a key until the transaction ends. Raises: MT020 when another transaction holds it.
create or replace function hold_request_key(p_org_id varchar, p_caller varchar, p_route varchar, p_key varchar) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
    if not pg_try_advisory_xact_lock(
        hashtextextended(jsonb_build_array('request', p_org_id, p_caller, p_route, p_key)::text, 0)
    ) then
        raise exception 'the first request with this idempotency key is still running' using errcode = 'MT020',
            hint = 'Try again with the same key.';
    end if;
end
$$;

-- Keeps the answer to a write that began with begin_keyed_request, in the same transaction; removes a few of those that
-- are older than two days, so that as many go as come.
--
-- p_status, p_body: the answer. The others: as of begin_keyed_request.
-- Locks: the old answers that it removes, passing over those that others remove.
create or replace function keep_answer(
    p_org_id varchar, p_caller varchar, p_route varchar, p_key varchar, p_body_sha256 bytea, p_status smallint, p_body bytea
)
returns void
language sql volatile security definer
set search_path = public, pg_temp
as $$
    delete from request_answers
    where (org_id, caller, route, key) in (
        select org_id, caller, route, key from request_answers
        where created_at < now() - interval '48 hours'
        order by created_at
        limit 20
        for update skip locked
    );
    insert into request_answers (org_id, caller, route, key, body_sha256, status, body)
    values (p_org_id, p_caller, p_route, p_key, p_body_sha256, p_status, p_body)
$$;

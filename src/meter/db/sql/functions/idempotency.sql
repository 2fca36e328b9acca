-- The first answer to a keyed call, or null where the key is new (or null). The caller holds the pool of the organization.
-- Raises: MT004 when the key came before with other arguments.
create or replace function recall_result(p_org_id varchar, p_operation text, p_key varchar, p_arguments jsonb) returns jsonb
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
    first record;
begin
    select known.arguments, known.result into first
    from idempotency_keys known
    where known.org_id = p_org_id and known.operation = p_operation and known.key = p_key;
    if first.arguments <> p_arguments then
        raise exception 'idempotency key "%" was used before with other arguments', p_key
            using errcode = 'MT004', hint = 'Use a new key for a new request.';
    end if;
    return first.result;
end
$$;

-- Keeps the first answer to a keyed call; does nothing where the key is null. Returns: the answer.
create or replace function remember_result(
    p_org_id varchar, p_operation text, p_key varchar, p_arguments jsonb, p_result jsonb
)
returns jsonb
language sql volatile
set search_path = public, pg_temp
as $$
    insert into idempotency_keys (org_id, operation, key, arguments, result)
    select p_org_id, p_operation, p_key, p_arguments, p_result where p_key is not null;
    select p_result
$$;

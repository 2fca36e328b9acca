-- A batch as columns, from what a client sends: each column as one text, which it writes far faster than an array.
--
-- Numbers as an array literal, which needs no text for each of them first; anything else, where a literal would have to
-- be quoted, with unit separators between the elements and a record separator in place of a null.
-- Without settings of its own it becomes a part of the statement that calls it, else 1 % of settlement.
create or replace function usage_columns_of_texts(
    org_ids text, account_orgs text, account_users text, sources text, service_types text, service_names text,
    quantities text, key_sources text, credits_given text, key_sources_given text, folded text, positions text,
    accounts text, kinds text, event_keys text, event_ids text, credits text, api_costs text, markups text,
    request_ids text, metadata text, occurred_at text, refusals text
) returns usage_columns
language sql stable
as $$
    select row(
        string_to_array(org_ids, E'\x1f', E'\x1e')::varchar[],
        account_orgs::integer[],
        string_to_array(account_users, E'\x1f', E'\x1e')::varchar[],
        string_to_array(sources, E'\x1f', E'\x1e')::varchar[],
        string_to_array(service_types, E'\x1f', E'\x1e')::varchar[],
        string_to_array(service_names, E'\x1f', E'\x1e')::varchar[],
        string_to_array(quantities, E'\x1f', E'\x1e')::numeric[],
        string_to_array(key_sources, E'\x1f', E'\x1e')::provider_key_source[],
        string_to_array(credits_given, E'\x1f', E'\x1e')::boolean[],
        string_to_array(key_sources_given, E'\x1f', E'\x1e')::boolean[],
        string_to_array(folded, E'\x1f', E'\x1e')::text[],
        positions::integer[],
        accounts::integer[],
        kinds::integer[],
        string_to_array(event_keys, E'\x1f')::uuid[],
        string_to_array(event_ids, E'\x1f', E'\x1e')::varchar[],
        credits::numeric[],
        api_costs::numeric[],
        markups::numeric[],
        string_to_array(request_ids, E'\x1f', E'\x1e')::varchar[],
        string_to_array(metadata, E'\x1f', E'\x1e')::text[],
        string_to_array(occurred_at, E'\x1f', E'\x1e')::timestamptz[],
        string_to_array(refusals, E'\x1f', E'\x1e')::text[]
    )::usage_columns
$$;

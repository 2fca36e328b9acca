-- What the letters mean that settle_usage_columns and settle_voids answer with. The same as meter.db.outcomes.
--
-- Returns: each letter with the outcome and the reason it stands for; the reason of a refusal by rating is its own.
create or replace function settlement_letters() returns table (letter text, outcome text, reason text)
language sql immutable
set search_path = public, pg_temp
as $$
    values ('c', 'charged', null), ('o', 'overage', null), ('p', 'unpriced', null),
           ('1', 'unfunded', 'organization_closed'), ('2', 'unfunded', 'no_allocation'),
           ('3', 'unfunded', 'allocation_exhausted'), ('4', 'unfunded', 'pool_exhausted'),
           ('d', 'duplicate', null), ('x', 'conflict', null),
           ('u', 'refused', 'unknown_organization'), ('f', 'refused', 'future_time'), ('r', 'refused', null),
           ('v', 'void', null), ('w', 'refused', 'void_of_void')
$$;

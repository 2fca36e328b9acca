-- The statement that gives a login the privileges of one of meter's roles, or its present password when it is there.
-- $1 login, $2 password, $3 role. Returns the statement; names and passwords cannot be parameters of the statement itself.
select format(
    case when exists (select from pg_roles where rolname = $1)
        then 'alter role %1$I login password %2$L'
        else 'create role %1$I login password %2$L in role %3$I'
    end,
    $1::text, $2::text, $3::text
);

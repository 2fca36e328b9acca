-- What meter migrate and the readiness checks send.

-- name: prepare_roles
do $$
declare
    wanted text;
begin
    foreach wanted in array array['meter_owner', 'meter_worker', 'meter_reader', 'meter_admin'] loop
        begin
            if not exists (select 1 from pg_roles where rolname = wanted) then
                execute format('create role %I nologin', wanted);
            end if;
        exception when duplicate_object or unique_violation then
            null; -- another migration, of another database of this server, was first
        end;
        -- Who migrates acts as the owner; with one login for everything, processes act as their roles.
        if not pg_has_role(current_user, wanted, 'member') then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
    revoke create on schema public from public;
    grant usage, create on schema public to meter_owner;
end
$$;

-- name: prepare_bookkeeping
create table if not exists schema_migrations (
    version    integer primary key,
    name       text not null,
    applied_at timestamptz not null default now()
);
create table if not exists schema_definitions (
    singleton  boolean primary key default true check (singleton),
    checksum   text not null,
    release    text not null,
    applied_at timestamptz not null default now()
);

-- name: applied_migrations
select version from schema_migrations;

-- name: definitions_checksum
select checksum from schema_definitions;

-- name: definitions_release
select release from schema_definitions;

-- name: record_migration
insert into schema_migrations (version, name) values ($1, $2);

-- name: record_definitions
insert into schema_definitions (checksum, release) values ($1, $2)
on conflict (singleton) do update set checksum = excluded.checksum, release = excluded.release, applied_at = now();

-- name: schema_state
select (select max(version) from schema_migrations) as version, (select checksum from schema_definitions) as checksum;

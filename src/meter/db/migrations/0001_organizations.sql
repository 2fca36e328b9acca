-- Organizations and their members. Ids are compared byte by byte, so that every session sorts and locks them alike.

create table organizations (
    id           varchar(36) collate "C" primary key
                 check (id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]*$' and id not in ('user', 'org', 'system', 'deduct')),
    name         varchar(100) not null unique,
    display_name varchar(200) not null,
    max_seats    integer check (max_seats > 0),
    status       text not null default 'active' check (status in ('active', 'closed')),
    created_at   timestamptz not null default now(),
    closed_at    timestamptz
);

-- What purge_organization leaves behind: an id is never used again.
create table purged_organizations (
    org_id    varchar(36) collate "C" primary key,
    purged_by varchar(255) not null,
    purged_at timestamptz not null default now()
);

create table organization_members (
    org_id     varchar(36) collate "C" not null references organizations on delete cascade,
    user_id    varchar(255) collate "C" not null,
    role       text not null default 'member' check (role in ('member', 'admin', 'owner')),
    created_at timestamptz not null default now(),
    primary key (org_id, user_id)
);

-- "All organizations of a user", asked at every request of a member.
create index organization_members_user on organization_members (user_id, org_id);

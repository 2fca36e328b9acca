-- Suspects are handled together until a worker ends over some of them.

-- Whether the process handles nothing but this message: no other is ever to blame for a death.
alter table suspect_messages add column alone boolean not null default true;

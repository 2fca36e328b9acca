-- What the ledger has of a file's events, as they were first recorded: of organizations ($1) and one source ($2).
select count(*) as events,
       count(*) filter (where outcome = 'charged') as charged_events,
       coalesce(sum(credits_used) filter (where outcome = 'charged'), 0) as charged_credits,
       count(*) filter (where outcome = 'unfunded') as unfunded_events,
       coalesce(sum(credits_used) filter (where outcome = 'unfunded'), 0) as unfunded_credits
from credit_usage_attribution
where org_id = any ($1) and source = $2 and entry = 0

-- It fetched the keys of a batch once for each of its organizations. What needs them fetches them once.

drop function if exists queued_usage_of_all();

-- Replaced by functions that find the organizations of events themselves.

drop function if exists compare_with_ledger(usage_columns, varchar[], boolean[]);
drop function if exists repeated_usage(usage_columns, varchar[], timestamptz);

-- Suspect messages, as meter_worker; discarded dead letters, as meter_admin.

-- name: note_suspect
select note_suspect($1, $2);

-- name: note_suspects
select note_suspects($1, $2);

-- name: clear_suspects
select clear_suspects($1, $2);

-- name: record_dead_letter_discards
select record_dead_letter_discards($1, $2, $3, $4, $5, $6, $7, $8);

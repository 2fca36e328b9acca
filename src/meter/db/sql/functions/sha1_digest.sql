-- SHA-1 as RFC 3174 has it: UUIDv5 is defined over it, and PostgreSQL's core brings every SHA but this one.
--
-- message: any bytes. Returns: the digest, 20 bytes.
create or replace function sha1_digest(message bytea) returns bytea
language plpgsql immutable strict
set search_path = public, pg_temp
as $$
declare
    word_mask constant bigint := 4294967295;
    padded bytea;
    w bigint[];
    h bigint[] := array[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    a bigint; b bigint; c bigint; d bigint; e bigint;
    f bigint; k bigint; mixed bigint;
    start integer;
begin
    padded := message || '\x80'::bytea
              || decode(repeat('00', (119 - length(message) % 64) % 64), 'hex')
              || int8send(length(message)::bigint * 8);
    for block in 0 .. length(padded) / 64 - 1 loop
        for t in 0 .. 79 loop
            if t < 16 then
                start := block * 64 + t * 4;
                w[t] := get_byte(padded, start)::bigint * 16777216 + get_byte(padded, start + 1) * 65536
                        + get_byte(padded, start + 2) * 256 + get_byte(padded, start + 3);
            else
                mixed := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
                w[t] := ((mixed << 1) | (mixed >> 31)) & word_mask;
            end if;
        end loop;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        for t in 0 .. 79 loop
            if t < 20 then
                f := (b & c) | ((word_mask - b) & d); k := 1518500249;
            elsif t < 40 then
                f := b # c # d; k := 1859775393;
            elsif t < 60 then
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            else
                f := b # c # d; k := 3395469782;
            end if;
            mixed := ((((a << 5) | (a >> 27)) & word_mask) + f + e + k + w[t]) & word_mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & word_mask; b := a; a := mixed;
        end loop;
        h[1] := (h[1] + a) & word_mask; h[2] := (h[2] + b) & word_mask; h[3] := (h[3] + c) & word_mask;
        h[4] := (h[4] + d) & word_mask; h[5] := (h[5] + e) & word_mask;
    end loop;
    return substr(int8send(h[1]), 5) || substr(int8send(h[2]), 5) || substr(int8send(h[3]), 5)
           || substr(int8send(h[4]), 5) || substr(int8send(h[5]), 5);
end
$$;

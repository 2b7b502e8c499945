\set i :i + 1
\set n :base + :client_id + :clients * :i
{find};
SELECT apply_change('{organization}', ('{prefix}' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, o.version,
    replace(o.call, '{mark}', lpad(to_hex(:n::bigint), 12, '0'))::jsonb,
    replace(o.effects, '{mark}', lpad(to_hex(:n::bigint), 12, '0'))::jsonb)
FROM bench.own o WHERE o.step = 1;
SELECT apply_change('{organization}', ('{prefix}' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, o.version,
    replace(o.call, '{mark}', lpad(to_hex(:n::bigint), 12, '0'))::jsonb,
    replace(o.effects, '{mark}', lpad(to_hex(:n::bigint), 12, '0'))::jsonb)
FROM bench.own o WHERE o.step = 2;

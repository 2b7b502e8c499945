\set i :i + 1
\set n :base + :client_id + :clients * :i
{find};
SELECT apply_change({change}) FROM bench.own o WHERE o.step = 1;
SELECT apply_change({change}) FROM bench.own o WHERE o.step = 2;

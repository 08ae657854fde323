-- A tenant's days, weeks and months anew, as they begin in a zone, from the quarters. The old ones must be gone.
INSERT INTO talk_counts (tenant, dimension, grain, period, value, what, place, n)
SELECT tenant, dimension, unit, date_trunc(unit, period, $2), value, what, place, sum(n)
FROM talk_counts, LATERAL (VALUES ('day'), ('week'), ('month')) AS coarser (unit)
WHERE tenant = $1 AND grain = 'quarter'
GROUP BY tenant, dimension, unit, date_trunc(unit, period, $2), value, what, place

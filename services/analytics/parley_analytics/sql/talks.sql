-- The counters of a tenant's conversations that began between two moments: months, and at both ends days and quarters of an hour, as far as asked.
-- A row for each value, bucket and name: how many, the steps at the median and at nine tenths (the nearest ranks), scores in sum and those from 4 on.
WITH found AS (
    SELECT value, what, place, n, CASE WHEN $5::text IS NOT NULL THEN date_trunc($5, period, $6) END AS at
    FROM unnest($7::text[], $8::timestamptz[], $9::timestamptz[]) AS part (grain, since, until), LATERAL (
        SELECT * FROM talk_counts AS c WHERE c.tenant = $1 AND c.dimension = $2 AND c.grain = part.grain AND c.period >= part.since AND c.period < part.until
    ) AS counted
    WHERE $3::text IS NULL OR value = $3
), largest AS (
    SELECT value, sum(n) AS conversations FROM found WHERE what = 'opened' GROUP BY value ORDER BY conversations DESC, value LIMIT $4
), placed AS (
    SELECT value, at, what, place, sum(n) AS n FROM found WHERE value IN (SELECT value FROM largest) GROUP BY value, at, what, place
), ranked AS (
    SELECT *, sum(n) OVER (PARTITION BY value, at, what ORDER BY place) AS upto, sum(n) OVER (PARTITION BY value, at, what) AS total FROM placed
)
SELECT value, at, what, sum(ranked.n)::bigint AS n, min(place) FILTER (WHERE upto >= ceil(0.5 * total)) AS half,
    min(place) FILTER (WHERE upto >= ceil(0.9 * total)) AS most, sum(ranked.n * place)::bigint AS summed,
    COALESCE(sum(ranked.n) FILTER (WHERE place >= 4), 0)::bigint AS satisfied
FROM ranked JOIN largest USING (value)
GROUP BY conversations, value, at, what ORDER BY conversations DESC, value, at, what

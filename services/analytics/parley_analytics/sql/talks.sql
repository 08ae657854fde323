-- The counters of a tenant's conversations that began between two moments, which are cut into parts of months, weeks, days and quarters of an hour.
-- A row for each value, bucket and name: how many, the steps at the median and at nine tenths (the nearest ranks), scores in sum and those from 4 on.
WITH placed AS MATERIALIZED (
    SELECT value, at, what, place, sum(n) AS n
    FROM unnest($5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[]) AS part (grain, since, until, at), LATERAL (
        SELECT value, what, place, n FROM talk_counts AS c
        WHERE c.tenant = $1 AND c.dimension = $2 AND c.grain = part.grain AND c.period >= part.since AND c.period < part.until
        OFFSET 0  -- a look into the index for every part, never a scan of all
    ) AS counted
    WHERE $3::text IS NULL OR value = $3
    GROUP BY 1, 2, 3, 4
), largest AS (
    SELECT value, sum(n) AS conversations FROM placed WHERE what = 'opened' GROUP BY value ORDER BY conversations DESC, value LIMIT $4
), ranked AS (
    SELECT placed.*, conversations, sum(n) OVER steps AS upto, sum(n) OVER (PARTITION BY value, at, what) AS total
    FROM placed JOIN largest USING (value) WINDOW steps AS (PARTITION BY value, at, what ORDER BY place)
)
SELECT value, at, what, sum(n)::bigint AS n, min(place) FILTER (WHERE upto >= ceil(0.5 * total)) AS half,
    min(place) FILTER (WHERE upto >= ceil(0.9 * total)) AS most, sum(n * place)::bigint AS summed,
    COALESCE(sum(n) FILTER (WHERE place >= 4), 0)::bigint AS satisfied
FROM ranked
GROUP BY conversations, value, at, what ORDER BY conversations DESC, value, at, what

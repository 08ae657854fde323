-- The values of a dimension with the most conversations in some parts of time, the largest first, $6 at most.
SELECT value
FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS part (grain, since, until), LATERAL (
    SELECT value, n FROM talk_counts AS c
    WHERE c.tenant = $1 AND c.dimension = $2 AND c.grain = part.grain AND c.period >= part.since AND c.period < part.until AND c.what = 'opened'
    OFFSET 0
) AS counted
GROUP BY value ORDER BY sum(n) DESC, value LIMIT $6

-- The counters of a tenant between two moments, by some dimensions and in total (GROUPING SETS), the largest first after the total.
SELECT {dimensions}, GROUPING({dimensions}) > 0 AS total,
    {counts}
FROM counters JOIN cells USING (cell_id)
WHERE tenant = $1 AND period >= $2 AND period < $3
GROUP BY GROUPING SETS (({dimensions}), ())
ORDER BY total DESC, sum(sent) DESC, {dimensions}
LIMIT $4

-- The counters of a tenant's conversations that began in some parts of time, each of which belongs to a bucket; of all values of a dimension, or of some.
-- A row for each value, bucket and name: how many, the steps at the median and at nine tenths (the nearest ranks), scores in sum and those from 4 on.
WITH placed AS (
    SELECT value, at, what, place, sum(n)::double precision AS n -- exact below 2^53, and summed up again several times as fast as a numeric
    FROM ({parts}) AS counted
    GROUP BY value, at, what, place
), ranked AS (
    SELECT *, sum(n) OVER steps AS upto, sum(n) OVER (PARTITION BY value, at, what) AS total
    FROM placed WINDOW steps AS (PARTITION BY value, at, what ORDER BY place)
)
SELECT value, at, what, sum(n)::bigint AS n, min(place) FILTER (WHERE 2 * upto >= total) AS half,
    min(place) FILTER (WHERE 10 * upto >= 9 * total) AS most, sum(n * place)::bigint AS summed,
    COALESCE(sum(n) FILTER (WHERE place >= 4), 0)::bigint AS satisfied
FROM ranked
GROUP BY value, at, what ORDER BY value, at, what

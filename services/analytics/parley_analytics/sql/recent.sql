-- The cells of the campaigns that sent most since a moment: $2 campaigns and $3 cells at most.
SELECT * FROM (
    SELECT *, dense_rank() OVER (ORDER BY campaign_sent DESC, tenant, campaign) AS place FROM (
        SELECT *, sum(sent) OVER (PARTITION BY tenant, campaign) AS campaign_sent FROM (
            SELECT tenant, campaign, channel, variant,
                {counts}
            FROM counters JOIN cells USING (cell_id)
            WHERE period >= $1 AND campaign <> ''
            GROUP BY tenant, campaign, channel, variant
        ) AS counted WHERE sent > 0
    ) AS weighed
) AS placed WHERE place <= $2
ORDER BY place, sent DESC, channel, variant LIMIT $3

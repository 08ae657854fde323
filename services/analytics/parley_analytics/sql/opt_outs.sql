-- Owes refusals as `replies.sql` owes answers, within seven days; those of which the message is told are its own, and so are others of the same moment.
UPDATE opt_outs SET message_id = owed.message_id
FROM (
    SELECT DISTINCT o.contact_id, o.at, o.channel, (
        SELECT m.message_id FROM messages m JOIN cells USING (cell_id)
        WHERE o.told IS NULL AND NOT EXISTS (SELECT FROM opt_outs t WHERE t.contact_id = o.contact_id AND t.at = o.at AND t.told IS NOT NULL)
            AND m.contact_id = o.contact_id AND m.left_at BETWEEN o.at - interval '7 days' AND o.at AND cells.channel = o.channel AND NOT m.dead
        ORDER BY m.left_at DESC, m.message_id DESC LIMIT 1
    ) AS message_id
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS given (contact_id, since, until)
    JOIN opt_outs o ON o.contact_id = given.contact_id AND o.at BETWEEN since AND until + interval '7 days'
) AS owed
WHERE (opt_outs.contact_id, opt_outs.at, opt_outs.channel) = (owed.contact_id, owed.at, owed.channel) AND opt_outs.message_id IS DISTINCT FROM owed.message_id
RETURNING old.message_id AS before, new.message_id AS after, opt_outs.contact_id

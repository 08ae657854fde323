-- Owes what these contacts wrote between these times, and in the 72 hours after, to the last message before it that left for them on that channel and did not
-- fail; tells which moved.
UPDATE replies SET message_id = owed.message_id
FROM (
    SELECT DISTINCT r.contact_id, r.at, r.reply_id, (
        SELECT m.message_id FROM messages m JOIN cells USING (cell_id)
        WHERE m.contact_id = r.contact_id AND m.left_at BETWEEN r.at - interval '72 hours' AND r.at AND cells.channel = r.channel AND NOT m.dead
        ORDER BY m.left_at DESC, m.message_id DESC LIMIT 1
    ) AS message_id
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS given (contact_id, since, until)
    JOIN replies r ON r.contact_id = given.contact_id AND r.at BETWEEN since AND until + interval '72 hours'
) AS owed
WHERE (replies.contact_id, replies.at, replies.reply_id) = (owed.contact_id, owed.at, owed.reply_id) AND replies.message_id IS DISTINCT FROM owed.message_id
RETURNING old.message_id AS before, new.message_id AS after, replies.contact_id

-- Takes judgements, the latest of each hit. Tells those that are new here, and of which there was another one before.
INSERT INTO hits AS h (contact_id, at, hit, message_id, kind, rules, revision, person)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::integer[], $7::integer[], $8::boolean[])
    AS given (contact_id, at, hit) ORDER BY contact_id, at, hit
ON CONFLICT (contact_id, at, hit) DO UPDATE SET rules = excluded.rules, revision = excluded.revision, person = excluded.person
WHERE (excluded.rules, excluded.revision, excluded.person) > (h.rules, h.revision, h.person)
RETURNING contact_id, at, message_id, kind, person, old.person AS was_person

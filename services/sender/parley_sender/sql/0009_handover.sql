-- What a replica that leaves a lane to another says of its buckets, and when; good only while fence and turn are those at which it was said.
ALTER TABLE lanes
    ADD COLUMN handed       jsonb,
    ADD COLUMN handed_at    timestamptz,
    ADD COLUMN handed_fence bigint,
    ADD COLUMN handed_turn  bigint;

-- What nobody knows of, the longest first: for people who settle it, and for whoever asks providers.
CREATE INDEX deliveries_unknown ON deliveries (tenant, changed_at, message_id) WHERE status = 'unknown';
-- Which message was told in place of another.
CREATE INDEX deliveries_told_instead ON deliveries (instead_of) WHERE instead_of IS NOT NULL;

-- Questions to providers about messages of which nobody knows whether they left.
CREATE TABLE inquiries (
    message_id uuid        PRIMARY KEY,
    attempt    integer     NOT NULL,                    -- the call that is in doubt
    asked      integer     NOT NULL DEFAULT 0,          -- questions so far
    next_at    timestamptz,                             -- when the next one is due; NULL: there is none
    resent     boolean     NOT NULL DEFAULT false       -- sent once more by policy: no second time without a person
) WITH (fillfactor = 70);
CREATE INDEX inquiries_due ON inquiries (next_at) WHERE next_at IS NOT NULL;

-- Who put an address on the list: the name of a key; NULL for Parley itself.
ALTER TABLE suppressions ADD COLUMN by text;
CREATE INDEX suppressions_of_tenant ON suppressions (tenant, since, channel, address, account);

-- The contact that was handed out for an address; null when the address came to a contact that there was already. It never changes once told,
-- so who was joined to somebody is found again when the joint is undone.
ALTER TABLE addresses ADD COLUMN founds uuid;
UPDATE addresses SET founds = contact_id WHERE (tenant, scheme, address) IN (
    SELECT DISTINCT ON (contact_id) tenant, scheme, address FROM addresses ORDER BY contact_id, scheme <> 'customer', found_at, address);

-- What was said of two addresses being one person's, the latest time of each word: that a customer's id and an address belong together, that two
-- are one, that they are not. A word only becomes later, so neither order nor repetition of events matters. `one` sorts before `other`.
CREATE TABLE ties (
    tenant        text        NOT NULL,
    one_scheme    text        NOT NULL,
    one_address   text        NOT NULL,
    other_scheme  text        NOT NULL,
    other_address text        NOT NULL,
    identified_at timestamptz,
    merged_at     timestamptz,
    apart_at      timestamptz,
    PRIMARY KEY (tenant, one_scheme, one_address, other_scheme, other_address)
);
CREATE INDEX ties_of_other ON ties (tenant, other_scheme, other_address);
-- What was one contact before the words were kept: its first address and each other one.
INSERT INTO ties
    SELECT tenant, least(f.scheme, a.scheme),
           CASE WHEN (f.scheme, f.address) < (a.scheme, a.address) THEN f.address ELSE a.address END, greatest(f.scheme, a.scheme),
           CASE WHEN (f.scheme, f.address) < (a.scheme, a.address) THEN a.address ELSE f.address END, NULL, 'epoch', NULL
    FROM addresses AS a JOIN addresses AS f USING (tenant, contact_id) WHERE f.founds IS NOT NULL AND a.founds IS NULL;

-- The journal of joining and parting, in the order in which it was decided: `version` tells later from earlier whoever reads the events.
CREATE TABLE merges (
    version    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text        NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('merged', 'parted')),
    contact_id uuid        NOT NULL,
    other      uuid,
    at         timestamptz NOT NULL
);
CREATE INDEX merges_of_contact ON merges (tenant, contact_id);

-- Links that prove an address: the digest of the code, whose session asked, and what is proved.
CREATE TABLE verifications (
    digest     bytea       PRIMARY KEY,
    tenant     text        NOT NULL,
    customer   jsonb       NOT NULL,
    label      text        NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX verifications_by_age ON verifications (expires_at);

-- What people refused who are erased since, by a keyed hash of the address: whoever comes with that address has refused it too, until they say otherwise.
CREATE TABLE refusals (
    digest  bytea       NOT NULL,       -- of tenant, channel and address
    purpose text        NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (digest, purpose)
);

-- Everything that one person was sent, for erasing it.
CREATE INDEX deliveries_of_contact ON deliveries (contact_id);

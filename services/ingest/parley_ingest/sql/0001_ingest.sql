-- Natural ids of what came from outside; a repeat finds its id here. Rows are dropped after `seen_at` is 30 days old: no provider retries longer.
CREATE TABLE seen (
    id      uuid        PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX seen_by_age ON seen USING brin (seen_at);

-- One person, many addresses. `scheme` is `phone` for every channel on a phone number, `email`, `customer` (the shop's own id), else the channel.
CREATE TABLE addresses (
    tenant     text        NOT NULL,
    scheme     text        NOT NULL,
    address    text        NOT NULL,
    contact_id uuid        NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, scheme, address)
);
CREATE INDEX addresses_of_contact ON addresses (contact_id);

-- Tracked links that sender minted, by their code.
CREATE TABLE links (
    code       text        PRIMARY KEY,
    tenant     text        NOT NULL,
    contact_id uuid        NOT NULL,
    message_id uuid        NOT NULL,
    url        text        NOT NULL,
    minted_at  timestamptz NOT NULL
);

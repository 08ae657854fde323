-- Messages of providers that give them no id (SMPP), by a digest of their words: the same that come by another connection within minutes are a repeat.
CREATE TABLE heard (
    words      text        NOT NULL,
    account    text        NOT NULL,
    connection text        NOT NULL,
    heard_at   timestamptz NOT NULL,
    PRIMARY KEY (account, words, heard_at)
);
CREATE INDEX heard_by_age ON heard (heard_at);

-- Parts of long messages that wait for the others, as octets: they are joined before they are read. `whole` is sender, recipient and reference.
CREATE TABLE parts (
    account  text        NOT NULL,
    whole    text        NOT NULL,
    number   int         NOT NULL,
    body     bytea       NOT NULL,
    coding   int         NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (account, whole, number)
);
CREATE INDEX parts_by_age ON parts (heard_at);

-- Whose click it was: of a contact that is part of another the addresses that it was made for say where they are now.
CREATE INDEX addresses_of_founded ON addresses (founds) WHERE founds IS NOT NULL;
-- What a click on the link is counted under, for flows that begin with it.
ALTER TABLE links ADD COLUMN campaign text;

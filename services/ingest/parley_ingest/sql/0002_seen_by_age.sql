-- Old ids are deleted a few thousand at a time, the oldest first. A BRIN index serves that only until the freed space is used again, for then
-- every range of pages holds old and new rows; a B-tree on growing times is appended to at one end and emptied at the other.
DROP INDEX seen_by_age;
CREATE INDEX seen_by_age ON seen (seen_at);

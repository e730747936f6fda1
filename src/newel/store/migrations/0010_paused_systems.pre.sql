-- A system that an operator has paused is a room without a place: its steps wait as those do that
-- find no place, without an attempt, and are called when it is resumed.
--
-- at_most is what counts now; allows keeps what the code allows while nothing is allowed.
alter table newel.room add column allows integer;
alter table newel.room add column paused_at timestamptz;
alter table newel.room add column paused_by text;
alter table newel.room drop constraint room_at_most_check;
alter table newel.room add constraint room_paused_by_somebody
    check ((paused_at is null) = (paused_by is null)) not valid;
alter table newel.room add constraint room_has_places_unless_paused
    check (case when paused_at is null then at_most > 0 and allows is null else at_most = 0 end)
    not valid;

-- How long systems take to answer, and how often they fail: counted by workers, hour by hour and by
-- length. It proves nothing and is kept for two days.
create table newel.system_calls (
    system    text collate "C" not null,
    hour      timestamptz not null,
    upto_ms   integer not null check (upto_ms > 0),
    calls     bigint not null check (calls >= 0),
    failures  bigint not null check (failures >= 0),
    primary key (system, hour, upto_ms)
);

-- Webhooks: what came in, signed, each once; what goes out, each until it is accepted.
--
-- A delivery from another system is a row that is written in the transaction of the runs it
-- starts and the messages it leaves: there is no moment at which one is there without the other.
-- Its body is sealed under the key-encryption key, and emptied when no sender would send it again.
create table newel.webhook_received (
    id           uuid primary key,
    source       text collate "C" not null,
    event_id     text collate "C" not null,
    digest       bytea not null,
    body         bytea,
    received_at  timestamptz not null,
    runs         uuid[] not null default '{}',
    messages     integer not null default 0,
    refused      text,
    unique (source, event_id)
);
create index webhook_received_order on newel.webhook_received (received_at);
create index webhook_received_kept on newel.webhook_received (received_at)
    where body is not null;

-- Deliveries that were not accepted are told at once and then counted, a leaf a minute, so that
-- nobody can make the log grow at will.
create table newel.webhook_refusal (
    source   text collate "C" not null,
    cause    text not null,
    told_at  timestamptz not null,
    untold   integer not null default 0,
    primary key (source, cause)
);

-- What HR has said of each employment, so that the same said again starts nothing; one that waits is
-- looked at again at `look_at`. A feed asks for changes from `asked_until` on.
create table newel.hr_record (
    feed         text collate "C" not null,
    employee     text collate "C" not null,
    starts_on    date,
    ends_on      date,
    position     bytea,
    name         bytea,
    onboarding   uuid,
    offboarding  uuid,
    look_at      timestamptz,
    settled_at   timestamptz not null,
    primary key (feed, employee)
);
create index hr_record_look on newel.hr_record (feed, look_at) where look_at is not null;
create table newel.hr_feed (
    name         text collate "C" primary key,
    asked_until  timestamptz not null
);

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
create index webhook_received_of_source on newel.webhook_received (source, received_at);
create index webhook_received_refused on newel.webhook_received (source)
    where refused is not null;
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

-- Sources that are never silent for long, and since when somebody watches that.
create table newel.webhook_source (
    name           text collate "C" primary key,
    watched_since  timestamptz not null
);

-- Addresses of other systems that are told what happens, as the code declared them last, and how
-- they fare: `failing_since` is the first attempt that failed after the last that was accepted.
-- Where the address and its secrets are stands in the code alone.
create table newel.webhook_endpoint (
    name           text collate "C" primary key,
    url_host       text not null,
    events         text[] not null,
    registered_at  timestamptz not null,
    retired_at     timestamptz,
    accepted_at    timestamptz,
    failing_since  timestamptz,
    disabled_at    timestamptz,
    disabled_for   text check (disabled_for in ('gone', 'operator')),
    constraint disabled_for_a_reason check ((disabled_at is null) = (disabled_for is null))
);
-- Which event an endpoint is told of: written by commit_batch in the transaction of the event, and
-- only where somebody wants that type. The body is made of the leaf when it is sent, so it is not
-- kept a second time. `claimed_until` goes by clock_timestamp(), as leases do: who dies while
-- sending leaves an attempt that was counted and is made again under the same id.
create table newel.webhook_delivery (
    endpoint       text collate "C" not null,
    stream_id      uuid not null,
    seq            bigint not null,
    event_id       uuid not null,
    type           text collate "C" not null,
    made_at        timestamptz not null,
    state          text not null default 'waiting'
                       check (state in ('waiting', 'accepted', 'dead')),
    attempts       integer not null default 0,
    next_at        timestamptz,
    claimed_until  timestamptz,
    ended_at       timestamptz,
    answer         text,
    primary key (endpoint, stream_id, seq),
    constraint waiting_is_due check ((state = 'waiting') = (next_at is not null)),
    constraint ended_iff_not_waiting check ((state = 'waiting') = (ended_at is null))
);
create index webhook_delivery_due on newel.webhook_delivery (endpoint, next_at)
    where state = 'waiting';
-- What is listed, what is counted, and what is old enough to be forgotten.
create index webhook_delivery_listed on newel.webhook_delivery (endpoint, made_at, event_id);
create index webhook_delivery_ended on newel.webhook_delivery (state, ended_at)
    where state <> 'waiting';
create index webhook_delivery_dead on newel.webhook_delivery (endpoint) where state = 'dead';
create index webhook_delivery_old on newel.webhook_delivery (made_at) where state = 'waiting';
create index webhook_delivery_named on newel.webhook_delivery (event_id);

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

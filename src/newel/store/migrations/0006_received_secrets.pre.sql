-- Secrets that newel itself was given to hand on: first passwords, until their link is opened.
--
-- What is sealed here opens with the key-encryption key and with the link together; of the link
-- itself only a digest is kept. It is gone with the transaction that ends the wait for it, in
-- whichever way, and the row stays to say what became of the link.
create table newel.received_secret (
    id            uuid primary key,
    person        uuid not null references newel.person (ref),
    system        text collate "C" not null,
    token_sha256  bytea not null unique check (octet_length(token_sha256) = 32),
    sealed        bytea,
    state         text not null default 'waiting'
                  check (state in ('waiting', 'revealed', 'replaced', 'expired')),
    kept_at       timestamptz not null,
    sent_at       timestamptz,
    expires_at    timestamptz not null check (expires_at > kept_at),
    ended_at      timestamptz,
    constraint received_secret_kept_while_waiting check ((state = 'waiting') = (sealed is not null)),
    constraint received_secret_ended check ((state = 'waiting') = (ended_at is null))
);
create unique index received_secret_waiting on newel.received_secret (person, system)
    where state = 'waiting';
create index received_secret_latest on newel.received_secret (person, system, kept_at);
create index received_secret_over on newel.received_secret (expires_at) where state = 'waiting';

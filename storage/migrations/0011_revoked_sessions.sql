-- Which sessions were revoked lately: every server process asks every few seconds.
create index session_revoked on session (revoked_at, id) where revoked_at is not null;

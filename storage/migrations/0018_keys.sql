-- Which life of a node answers a request under a key: when it is found dead the key is free at once.
alter table idempotency add column epoch bigint;

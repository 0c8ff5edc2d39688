-- Calls that have ended and whose people have not been told what came of it. The statement that ends
-- a call queues it; a loop empties the queue in batches. Always nearly empty: read whole, no index.
create table ended_call (
    call_id  uuid not null
);

-- The device that is the caller's leg now, after another one has taken it over; null: who asked is.
-- (`caller_device` is part of the name of the request, and cannot change.)
alter table call add column caller_leg text;

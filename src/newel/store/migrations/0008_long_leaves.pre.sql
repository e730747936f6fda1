-- A leaf may have 32,768 bytes, a page of the database has 8,192: what does not fit lies beside it.
-- Nothing changes for rows below 2 KB, which nearly all are.
alter table newel.event alter column entry set storage external;
